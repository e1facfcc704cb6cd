import Foundation

/// NumPy's `.npz` archives: a ZIP file (PKWARE's APPNOTE) of `.npy` files, written stored as they are.
package enum NPZ {
  /// The archive would need ZIP's 64-bit form, which this does not write.
  package struct TooLarge: ExplainedError {
    /// The error has no values.
    package init() {}

    package var explanation: (problem: String, remedy: String?) {
      ("the arrays take more than 4 GB", "write them one by one as .npy files")
    }
  }

  /// - Parameter arrays: by name, in the order of the archive.
  package static func encode(_ arrays: [(name: String, tensor: Tensor)]) throws -> Data {
    try encode(files: arrays.map { ($0.name, NPY.encode($0.tensor)) })
  }

  /// - Parameter files: the `.npy` file of each array by its name, in the order of the archive.
  package static func encode(files: [(name: String, content: Data)]) throws -> Data {
    var file = Data()
    var directory = Data()
    for (name, content) in files {
      let path = Data("\(name).npy".utf8)
      guard let size = UInt32(exactly: content.count), let offset = UInt32(exactly: file.count) else {
        throw TooLarge()
      }
      // Version 2.0, names in UTF-8, stored, 1980-01-01 00:00 (so that equal arrays make equal files).
      let entry =
        littleEndian(20 as UInt16) + littleEndian(0x0800 as UInt16) + littleEndian(0 as UInt16)
        + littleEndian(0 as UInt16) + littleEndian(0x21 as UInt16) + littleEndian(CRC32.of(content))
        + littleEndian(size) + littleEndian(size) + littleEndian(UInt16(clamping: path.count))
        + littleEndian(0 as UInt16)
      file += littleEndian(0x0403_4b50 as UInt32) + entry + path + content
      // Version of the writer; no comment, disk 0, no attributes.
      directory +=
        littleEndian(0x0201_4b50 as UInt32) + littleEndian(20 as UInt16) + entry + [UInt8](repeating: 0, count: 10)
        + littleEndian(offset) + path
    }
    guard let start = UInt32(exactly: file.count), let size = UInt32(exactly: directory.count),
      let count = UInt16(exactly: files.count)
    else { throw TooLarge() }
    return file + directory + littleEndian(0x0605_4b50 as UInt32) + [0, 0, 0, 0] + littleEndian(count)
      + littleEndian(count) + littleEndian(size) + littleEndian(start) + [0, 0]
  }

  private static func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> Data {
    withUnsafeBytes(of: number.littleEndian) { Data($0) }
  }
}

extension NPZ {
  /// The file is no ZIP archive, or its directory is damaged.
  package struct NotArchive: Error, Equatable, CustomStringConvertible {
    package let description = "File is not a zip file"
  }

  /// The names of the archive's files, in its directory's order. Throws `NotArchive`.
  package static func names(in data: Data) throws -> [String] {
    let bytes = [UInt8](data)
    // The end of the directory lies before a comment of at most 65,535 bytes.
    let places = stride(from: bytes.count - 22, through: max(0, bytes.count - 22 - 0xFFFF), by: -1)
    guard let end = places.first(where: { number(in: bytes, at: $0, 4) == 0x0605_4b50 }),
      let count = number(in: bytes, at: end + 10, 2), var place = number(in: bytes, at: end + 16, 4)
    else { throw NotArchive() }
    var names: [String] = []
    for _ in 0..<count {
      guard number(in: bytes, at: place, 4) == 0x0201_4b50, let length = number(in: bytes, at: place + 28, 2),
        let extra = number(in: bytes, at: place + 30, 2), let comment = number(in: bytes, at: place + 32, 2),
        place + 46 + length <= bytes.count
      else { throw NotArchive() }
      names.append(String(decoding: bytes[place + 46..<place + 46 + length], as: UTF8.self))
      place += 46 + length + extra + comment
    }
    return names
  }

  private static func number(in bytes: [UInt8], at place: Int, _ count: Int) -> Int? {
    guard place >= 0, place + count <= bytes.count else { return nil }
    return bytes[place..<place + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
