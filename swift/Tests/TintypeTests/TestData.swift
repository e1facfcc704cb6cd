import Foundation

/// Files under tests/data, found from this source file upwards.
enum TestData {
  static func url(_ path: String) throws -> URL {
    var folder = URL(fileURLWithPath: #filePath)
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      let file = folder.appendingPathComponent("tests/data/\(path)")
      if FileManager.default.fileExists(atPath: file.path) { return file }
    }
    throw MissingTestData(path: path)
  }

  static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(contentsOf: url(path)))
  }
}

struct MissingTestData: Error {
  let path: String
}
