// `import CoreML` brings Foundation and Core Video with it on Apple's systems, and so it does here. A library that must stay small
// (the Python wheel's) is built with -DTINTYPE_ESSENTIALS_ONLY: full Foundation, of which Core ML's API needs only
// NSNumber, would link 40 MB of Unicode tables.

@_exported import CoreVideo

#if TINTYPE_ESSENTIALS_ONLY
  @_exported import FoundationEssentials

  /// The part of Foundation's NSNumber that Core ML's API needs.
  public final class NSNumber: Hashable, Sendable, CustomStringConvertible {
    private enum Value: Hashable {
      case integer(Int64)
      case real(Double)
    }

    private let value: Value

    private init(_ value: Value) {
      // As in Foundation, numbers of equal value are equal whatever they were made from.
      if case .real(let real) = value, let integer = Int64(exactly: real) {
        self.value = .integer(integer)
      } else {
        self.value = value
      }
    }

    /// The number of this value.
    public convenience init(value: Int) { self.init(.integer(Int64(value))) }
    /// The number of this value.
    public convenience init(value: Int8) { self.init(.integer(Int64(value))) }
    /// The number of this value.
    public convenience init(value: Int32) { self.init(.integer(Int64(value))) }
    /// The number of this value.
    public convenience init(value: Int64) { self.init(.integer(value)) }
    /// The number of this value.
    public convenience init(value: Float) { self.init(.real(Double(value))) }
    /// The number of this value.
    public convenience init(value: Double) { self.init(.real(value)) }

    /// The number without its fraction; the nearest Int64 where it is beyond.
    public var int64Value: Int64 {
      switch value {
      case .integer(let integer): integer
      case .real(let real): Int64(exactly: real.rounded(.towardZero)) ?? (real < 0 ? .min : .max)
      }
    }
    /// The lower bits of `int64Value`.
    public var intValue: Int { Int(truncatingIfNeeded: int64Value) }
    /// The lower 32 bits of `int64Value`.
    public var int32Value: Int32 { Int32(truncatingIfNeeded: int64Value) }
    /// The lower 8 bits of `int64Value`.
    public var int8Value: Int8 { Int8(truncatingIfNeeded: int64Value) }
    /// The nearest Float.
    public var floatValue: Float { Float(doubleValue) }
    /// The nearest Double.
    public var doubleValue: Double {
      switch value {
      case .integer(let integer): Double(integer)
      case .real(let real): real
      }
    }

    /// Whether both have the same value.
    public static func == (left: NSNumber, right: NSNumber) -> Bool { left.value == right.value }
    /// Feeds the value to the hasher.
    public func hash(into hasher: inout Hasher) { hasher.combine(value) }
    /// The value.
    public var description: String {
      switch value {
      case .integer(let integer): "\(integer)"
      case .real(let real): "\(real)"
      }
    }
  }

  extension NSNumber: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    /// The number of an integer.
    public convenience init(integerLiteral value: Int) { self.init(value: value) }
    /// The number of a float.
    public convenience init(floatLiteral value: Double) { self.init(value: value) }
  }
#else
  @_exported import Foundation
#endif
