import Foundation

/// Files under tests/data.
public enum TestData {
  public static func url(_ path: String) throws -> URL {
    let file = Fixture.root.appendingPathComponent("tests/data/\(path)")
    guard FileManager.default.fileExists(atPath: file.path) else { throw MissingTestData(path: path) }
    return file
  }

  public static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(contentsOf: url(path)))
  }
}

public struct MissingTestData: Error {
  public let path: String
}
