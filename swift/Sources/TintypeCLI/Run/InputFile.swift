import Foundation
import Tintype

/// What a NAME=FILE of `--input` holds.
struct InputFile {
  let name: String
  private let file: String
  private let content: Content

  private enum Content {
    case array(Tensor)
    case picture(RGBImage)
  }

  /// Reads each; throws `ArgumentError`, also where one is given twice.
  static func all(_ texts: [String]) throws -> [InputFile] {
    try texts.reduce(into: []) { inputs, text in
      let input = try InputFile(text)
      if inputs.contains(where: { $0.name == input.name }) {
        throw Self.error("--input \(input.name) is given twice: give each input once")
      }
      inputs.append(input)
    }
  }

  private init(_ text: String) throws {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !parts[0].isEmpty else {
      throw Self.error("--input is '\(text)', expected NAME=FILE.npy or NAME=PICTURE.png")
    }
    (name, file) = (parts[0], parts[1])
    func failure(_ problem: String) -> ArgumentError { Self.error("--input \(parts[0]): \(parts[1]) \(problem)") }
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: file))
      if file.hasSuffix(".npz") { throw failure(Self.archiveText(name, file, try NPZ.names(in: data))) }
      content = file.hasSuffix(".npy") ? .array(try NPY.decode(data)) : .picture(try RGBImage(file: data))
    } catch let error as ArgumentError {
      throw error
    } catch let error as CocoaError {
      throw failure("cannot be read as an .npy file or a picture (\(CoreMLPlatform.reason(of: error)))")
    } catch {
      throw failure("cannot be read as an .npy file or a picture (\(error))")
    }
  }

  private static func error(_ problem: String) -> ArgumentError {
    ArgumentError(problem: problem, command: RunCommand.spec.fullName)
  }

  private static func archiveText(_ name: String, _ file: String, _ members: [String]) -> String {
    let held = members.map { $0.hasSuffix(".npy") ? String($0.dropLast(4)) : $0 }
    let shown = held.prefix(8).joined(separator: ", ") + (held.count > 8 ? " and \(held.count - 8) more" : "")
    return "is an archive of arrays (\(held.isEmpty ? "it is empty" : shown)), expected one array: save it with "
      + "numpy.save('\(name).npy', numpy.load('\(file)')['\(held.first ?? name)'])"
  }

  /// The tensor, with arrays of floats as float16 or float32, and of integers as int32, where the model takes that; then a
  /// note says so. Throws `ArgumentError` for values that the type cannot hold; other arrays stay as they are.
  ///
  /// - Parameter feature: nil: the model has no such input, which it will say itself.
  func tensor(for feature: FeatureDescription?) throws -> (tensor: Tensor, note: String?) {
    switch content {
    case .picture(let picture):
      guard let feature else { return (try picture.tensor(.rgb), nil) }
      guard let image = feature.image else {
        throw Self.error(
          "--input \(name): \(file) is a picture, but the input is \(FeatureRow(feature).text): make an array of it")
      }
      return (try picture.tensor(image.colorLayout), nil)
    case .array(let array):
      guard let wanted = feature?.image == nil ? feature?.elementType : nil, array.elementType != wanted,
        wanted.isFloatingPoint ? array.elementType.isFloatingPoint : wanted == .int32 && array.elementType.isInteger
      else { return (array, nil) }
      let converted = try array.converted(to: wanted)
      if let lost = wanted == .int32 ? array.firstBeyondInt32 : array.firstLost(in: converted) {
        throw Self.error(
          "--input \(name) holds \(lost), which no \(wanted.rawValue) can: the model takes \(wanted.rawValue)")
      }
      return (converted, "--input \(name): \(array.elementType.rawValue) is read as \(wanted.rawValue)")
    }
  }
}

extension ElementType {
  fileprivate var isInteger: Bool { !isFloatingPoint && self != .bool }
}

extension Tensor {
  /// The first finite number that is none in `converted`, floats.
  fileprivate func firstLost(in converted: Tensor) -> String? {
    zip(doubles(), converted.floats()).first { $0.isFinite && !$1.isFinite }.map { "\($0.0)" }
  }

  /// The first integer that int32 does not hold.
  fileprivate var firstBeyondInt32: String? {
    withUnsafeBytes { bytes in
      switch elementType {
      case .int64: bytes.bindMemory(to: Int64.self).first { Int32(exactly: $0) == nil }.map { "\($0)" }
      case .uint32: bytes.bindMemory(to: UInt32.self).first { Int32(exactly: $0) == nil }.map { "\($0)" }
      default: nil
      }
    }
  }
}
