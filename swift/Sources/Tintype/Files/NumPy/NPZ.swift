import Foundation

/// Writes NumPy's `.npz` archives: a ZIP file (PKWARE's APPNOTE) of `.npy` files, stored as they are.
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
    var file = Data()
    var directory = Data()
    for (name, tensor) in arrays {
      let content = NPY.encode(tensor)
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
      let count = UInt16(exactly: arrays.count)
    else { throw TooLarge() }
    return file + directory + littleEndian(0x0605_4b50 as UInt32) + [0, 0, 0, 0] + littleEndian(count)
      + littleEndian(count) + littleEndian(size) + littleEndian(start) + [0, 0]
  }

  private static func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> Data {
    withUnsafeBytes(of: number.littleEndian) { Data($0) }
  }
}
