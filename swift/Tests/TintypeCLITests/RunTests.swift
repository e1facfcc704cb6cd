import Foundation
import TestSupport
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct RunTests {
  private func npy(_ console: Console, _ name: String, _ tensor: Tensor) throws -> String {
    try NPY.encode(tensor).write(to: URL(fileURLWithPath: console.path(name)))
    return console.path(name)
  }

  private func x(_ console: Console) throws -> String {
    try npy(console, "x.npy", Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]))
  }

  @Test(arguments: ["mlx", "coreml"]) func writesEveryOutput(_ backend: String) async throws {
    let console = try Console()
    let (package, file) = (Fixture.package("multi_output").path, console.path("y.npz"))
    let code = await console.run(
      ["run", package, "--input", "x=\(try x(console))", "-o", file, "--backend", backend, "--stats"])
    #expect(code == 0, "\(console.error)")
    let lines = console.output.split(separator: "\n").map(String.init)
    #expect(
      Array(lines.prefix(5)) == [
        "\(package) on \(backend) (asked for)", "negated: float32 [2, 3]", "squared: float32 [2, 3]",
        "total: float32 [2]", file,
      ])
    #expect(lines.contains { $0.hasPrefix("op ") } == (backend == "mlx"))
    #expect(lines.last?.contains(" ms") == true)
    // ZIP's directory names the arrays in their order; their bytes are stored as they are.
    let archive = try Data(contentsOf: URL(fileURLWithPath: file))
    let total = NPY.encode(try Tensor(shape: [2], floats: [6, 15]))
    let places = try ["negated.npy", "squared.npy", "total.npy"].map {
      try #require(archive.range(of: Data($0.utf8), options: .backwards)).lowerBound
    }
    #expect(places == places.sorted())
    #expect(archive.range(of: total) != nil)
  }

  @Test func jsonTellsTheSame() async throws {
    let console = try Console()
    let words = ["run", Fixture.package("two_functions").path, "--function", "thrice", "--backend", "mlx", "--stats"]
    let code = await console.run(
      words + ["--input", "x=\(try x(console))", "-o", console.path("y.npz"), "--json"])
    #expect(code == 0, "\(console.error)")
    let report = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [String: Any])
    #expect(report["backend"] as? String == "mlx" && report["reason"] as? String == "asked for")
    let outputs = try #require(report["outputs"] as? [[String: Any]])
    #expect(outputs.map { $0["name"] as? String } == ["y"])
    let statistics = try #require(report["statistics"] as? [String: Any])
    let ops = try #require(statistics["ops"] as? [String: [String: Any]])
    #expect(ops["mul"]?["calls"] as? Int == 1)
    let bytes = NPY.encode(try Tensor(shape: [2, 3], floats: [3, 6, 9, 12, 15, 18]))
    #expect(try Data(contentsOf: URL(fileURLWithPath: console.path("y.npz"))).range(of: bytes) != nil)
  }

  @Test func picturesAreInputs() async throws {
    let console = try Console()
    let bytes = (0..<72).map { UInt8(2 * $0) }
    let picture = try #require(RGBImage(width: 6, height: 4, bytes: bytes))
    try PNG.encode(picture).write(to: URL(fileURLWithPath: console.path("x.png")))
    for (name, tensor) in [
      (
        "image_rgb",
        try Tensor(shape: [4, 6, 3], elementType: .uint8) { target in
          for index in target.indices { target[index] = index % 3 == 0 ? bytes[index] / 2 : bytes[index] }
        }
      ),
      // 0.299, 0.587 and 0.114 of (6i, 6i + 2, 6i + 4) are 6i + 1.63, rounded 6i + 2; halved.
      (
        "image_gray",
        try Tensor(shape: [4, 6], elementType: .uint8) { target in
          for index in target.indices { target[index] = UInt8(3 * index + 1) }
        }
      ),
    ] {
      let code = await console.run(
        ["run", Fixture.package(name).path, "--input", "x=\(console.path("x.png"))", "-o", console.path("y.npz")])
      #expect(code == 0, "\(console.error)")
      let archive = try Data(contentsOf: URL(fileURLWithPath: console.path("y.npz")))
      #expect(archive.range(of: NPY.encode(tensor)) != nil, "\(name)")
    }
  }

  @Test(
    arguments: [
      (["--input", "x"], 2, "--input is 'x', expected NAME=FILE.npy or NAME=PICTURE.png"),
      (["--input", "x=/nowhere.npy"], 2, "--input x: /nowhere.npy cannot be read as an .npy file or a picture"),
      (["--input", "y=X"], 1, "input \"y\""),
      (["--input", "x=X", "--function", "half"], 1, "function \"half\" does not exist in this package"),
      (["--input", "x=PNG"], 2, "is a picture, but the input is x float32 [2, 3]: make an array of it"),
      ([], 1, "x"),
    ] as [([String], Int32, String)])
  func mistakesAreTold(_ words: [String], _ code: Int32, _ message: String) async throws {
    let console = try Console()
    let file = try x(console)
    let picture = try #require(RGBImage(width: 1, height: 1, bytes: [1, 2, 3]))
    try PNG.encode(picture).write(to: URL(fileURLWithPath: console.path("x.png")))
    let given = words.map {
      $0.replacingOccurrences(of: "=X", with: "=\(file)")
        .replacingOccurrences(of: "=PNG", with: "=\(console.path("x.png"))")
    }
    let all = ["run", Fixture.package("linear").path, "--backend", "mlx", "-o", console.path("y.npz")] + given
    #expect(await console.run(all) == code)
    #expect(console.error.contains(message), "\(console.error)")
    #expect(!FileManager.default.fileExists(atPath: console.path("y.npz")))
  }

  private func run(_ package: String, _ console: Console, _ tensor: Tensor, _ more: [String] = []) async throws -> Int32
  {
    let input = "\(package == "integer" ? "ids" : "x")=\(try npy(console, "x.npy", tensor))"
    return await console.run(
      ["run", Fixture.package(package).path, "--backend", "mlx", "-o", console.path("y.npz"), "--input", input] + more)
  }

  @Test func otherFloatsAndIntegersAreReadAsTheModelsOwn() async throws {
    let floats = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    let integers = try Tensor(shape: [1, 5], int32s: [1, -2, 3, 4, 1000])
    for (package, own, types, wanted) in [
      ("linear", floats, [ElementType.float64, .float16], "float32"), ("integer", integers, [.int64, .int16], "int32"),
      (
        "half", try Tensor(shape: [2, 4], floats: [1, 2, 3, 4, 5, 6, 7, 8]).converted(to: .float16),
        [.float32, .float64], "float16"
      ),
    ] {
      let console = try Console()
      #expect(try await run(package, console, own) == 0 && console.error.isEmpty, "\(console.error)")
      let expected = try Data(contentsOf: URL(fileURLWithPath: console.path("y.npz")))
      for type in types {
        let console = try Console()
        #expect(try await run(package, console, own.converted(to: type)) == 0)
        let name = package == "integer" ? "ids" : "x"
        #expect(console.error == "tintype: --input \(name): \(type.rawValue) is read as \(wanted)\n")
        #expect(try Data(contentsOf: URL(fileURLWithPath: console.path("y.npz"))) == expected)
        let quiet = try Console()
        #expect(try await run(package, quiet, own.converted(to: type), ["--quiet"]) == 0)
        #expect(quiet.error.isEmpty)
      }
    }
  }

  @Test func noValueIsChanged() async throws {
    let doubles = try Tensor(shape: [2, 3], elementType: .float64) { bytes in
      for (index, value) in [1, .infinity, .nan, 1e300, 5, 6].enumerated() {
        bytes.storeBytes(of: value, toByteOffset: 8 * index, as: Double.self)
      }
    }
    func integers(_ value: Int64) throws -> Tensor {
      try Tensor(shape: [1, 5], elementType: .int64) { $0.storeBytes(of: value, as: Int64.self) }
    }
    for (package, tensor, code, message) in [
      ("linear", doubles, 2, "--input x holds 1e+300, which no float32 can: the model takes float32"),
      (
        "half", try Tensor(shape: [2, 4], floats: Array(repeating: 1e6, count: 8)), 2,
        "--input x holds 1000000.0, which no float16 can"
      ),
      ("integer", try integers(1 << 31), 2, "--input ids holds 2147483648, which no int32 can: the model takes int32"),
      ("integer", try integers(.min), 2, "--input ids holds -9223372036854775808, which no int32 can"),
      ("integer", try integers(0).converted(to: .bool), 1, "bool"),
      ("integer", try integers(0).converted(to: .float32), 1, "float32"),
      ("linear", try Tensor(shape: [2, 3], int32s: [1, 2, 3, 4, 5, 6]), 1, "int32"),
    ] as [(String, Tensor, Int32, String)] {
      let console = try Console()
      #expect(try await run(package, console, tensor) == code, "\(console.error)")
      #expect(console.error.contains(message), "\(console.error)")
      #expect(!FileManager.default.fileExists(atPath: console.path("y.npz")))
    }
  }

  @Test func anArchiveIsNoArray() async throws {
    let console = try Console()
    let arrays = try (1...9).map { (name: "a\($0)", tensor: try Tensor(shape: [1], floats: [1])) }
    let (file, empty, damaged) = (console.path("x.npz"), console.path("empty.npz"), console.path("damaged.npz"))
    try NPZ.encode(arrays).write(to: URL(fileURLWithPath: file))
    try NPZ.encode([]).write(to: URL(fileURLWithPath: empty))
    try Data("PK".utf8).write(to: URL(fileURLWithPath: damaged))
    for (path, message) in [
      (
        file,
        "--input x: \(file) is an archive of arrays (a1, a2, a3, a4, a5, a6, a7, a8 and 1 more), expected one array: save "
          + "it with numpy.save('x.npy', numpy.load('\(file)')['a1'])"
      ), (empty, "is an archive of arrays (it is empty)"),
      (damaged, "cannot be read as an .npy file or a picture (File is not a zip file)"),
    ] {
      let console = try Console()
      let words = ["run", Fixture.package("linear").path, "--input", "x=\(path)", "-o", console.path("y.npz")]
      #expect(await console.run(words) == 2)
      #expect(console.error.contains(message), "\(console.error)")
    }
  }

  @Test func whatIsGivenTwiceAndFoldersThatAreNotThereAreRefused() async throws {
    let console = try Console()
    let input = "x=\(try x(console))"
    let words = ["run", Fixture.package("linear").path, "--input", input, "-o"]
    #expect(await console.run(words + [console.path("y.npz"), "--input", input]) == 2)
    #expect(console.error.contains("--input x is given twice: give each input once"))
    #expect(await console.run(words + [console.path("nodir/y.npz")]) == 2)
    #expect(console.error.contains("nodir does not exist: make it, or name another file"))
  }

  @Test(arguments: ["mlx", "coreml"]) func printsValuesThatNoFileIsNamedFor(_ backend: String) async throws {
    let console = try Console()
    let words = [
      "run", Fixture.package("multi_output").path, "--input", "x=\(try x(console))", "--backend", backend,
    ]
    #expect(await console.run(words) == 0, "\(console.error)")
    #expect(
      console.output.split(separator: "\n").dropFirst() == [
        "negated: float32 [2, 3]", "[[-1.0 -2.0 -3.0]", " [-4.0 -5.0 -6.0]]",
        "squared: float32 [2, 3]", "[[ 1.0  4.0  9.0]", " [16.0 25.0 36.0]]",
        "total: float32 [2]", "[ 6.0 15.0]",
      ])
  }

  @Test func jsonNamesNoFileWhereThereIsNone() async throws {
    let console = try Console()
    let words = ["run", Fixture.package("multi_output").path, "--input", "x=\(try x(console))", "--backend", "mlx"]
    #expect(await console.run(words + ["--json"]) == 0, "\(console.error)")
    let report = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [String: Any])
    #expect(report["output"] is NSNull)
  }

  @Test(arguments: ["mlx", "coreml"]) func statesBeginWithZeros(_ backend: String) async throws {
    let console = try Console()
    let file = try npy(console, "x.npy", Tensor(shape: [2], floats: [3, 4]).converted(to: .float16))
    let words = ["run", Fixture.package("stateful").path, "--input", "x=\(file)", "--backend", backend]
    #expect(await console.run(words) == 0, "\(console.error)")
    #expect(console.output.split(separator: "\n").dropFirst() == ["y: float16 [2]", "[3.0 4.0]"])
  }
}
