/// How a call went; raw values are Apple's.
public typealias CVReturn = Int32

/// The call did what it should.
public let kCVReturnSuccess: CVReturn = 0
/// Something failed for a reason without a code of its own.
public let kCVReturnError: CVReturn = -6660
/// An argument makes no sense: a width or height below 1, a NULL pointer, rows that are too short.
public let kCVReturnInvalidArgument: CVReturn = -6661
/// There is not that much memory.
public let kCVReturnAllocationFailed: CVReturn = -6662
/// The pixel format does not exist.
public let kCVReturnInvalidPixelFormat: CVReturn = -6680
/// The size is beyond what an address can count.
public let kCVReturnInvalidSize: CVReturn = -6681

/// How a pixel buffer is locked.
public struct CVPixelBufferLockFlags: OptionSet, Sendable {
  /// The flags' bits.
  public let rawValue: UInt64

  /// Flags from their bits.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The pixels will not be changed.
  public static let readOnly = CVPixelBufferLockFlags(rawValue: 1)
}

// Attributes of pixel buffers. They are accepted as on Apple's systems; memory here is shared with nobody.

/// The pixel format, a `CFNumber` of an `OSType`.
public let kCVPixelBufferPixelFormatTypeKey: CFString = "PixelFormatType"
/// Pixels across.
public let kCVPixelBufferWidthKey: CFString = "Width"
/// Pixels down.
public let kCVPixelBufferHeightKey: CFString = "Height"
/// Rows begin at multiples of so many bytes.
public let kCVPixelBufferBytesPerRowAlignmentKey: CFString = "BytesPerRowAlignment"
/// Whether Core Graphics can make images of the buffer; of no effect here.
public let kCVPixelBufferCGImageCompatibilityKey: CFString = "CGImageCompatibility"
/// Whether Core Graphics can draw into the buffer; of no effect here.
public let kCVPixelBufferCGBitmapContextCompatibilityKey: CFString = "CGBitmapContextCompatibility"
/// Whether Metal can read the buffer; of no effect here.
public let kCVPixelBufferMetalCompatibilityKey: CFString = "MetalCompatibility"
/// Asks for memory that other processes can map; of no effect here.
public let kCVPixelBufferIOSurfacePropertiesKey: CFString = "IOSurfaceProperties"
