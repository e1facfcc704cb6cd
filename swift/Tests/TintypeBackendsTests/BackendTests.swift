import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

/// What both backends must do alike.
@Suite struct BackendTests {
  private static let cache = TemporaryFolder.shared("coreml")
  private static let backends: [any Backend] = [MLXBackend(), CoreMLBackend(cacheFolder: cache)]
  private static let kinds = BackendKind.allCases

  private func load(_ name: String, _ kind: BackendKind) throws -> any LoadedModel {
    let backend = try #require(BackendTests.backends.first { $0.kind == kind })
    return try backend.load(Fixture.package(name), units: .all)
  }

  private let x: Tensor

  init() throws { x = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]) }

  @Test(arguments: kinds) func isAvailable(_ kind: BackendKind) throws {
    try BackendTests.backends.first { $0.kind == kind }?.checkAvailability()
    #expect(try load("linear", kind).backend == kind)
  }

  @Test(arguments: kinds) func givesEveryOutput(_ kind: BackendKind) throws {
    let outputs = try load("multi_output", kind).predict(["x": x])
    #expect(outputs.keys.sorted() == ["negated", "squared", "total"])
    #expect(outputs["negated"]?.floats() == [-1, -2, -3, -4, -5, -6])
    #expect(outputs["squared"]?.shape == [2, 3])
    #expect(outputs["total"]?.floats() == [6, 15])
  }

  @Test(arguments: kinds) func keepsHalfAndIntegers(_ kind: BackendKind) throws {
    let half = try Tensor(shape: [2, 4], floats: [0, 1, 2, 3, 4, 5, 6, 0.5]).converted(to: .float16)
    let y = try #require(try load("half", kind).predict(["x": half])["y"])
    #expect(y.elementType == .float16)
    #expect(y.floats() == [1, 3, 5, 7, 9, 11, 13, 2])
    let ids = try Tensor(shape: [1, 5], int32s: [1, 2, 3, 4, 5])
    let doubled = try #require(try load("integer", kind).predict(["ids": ids])["doubled"])
    #expect(doubled.elementType == .int32)
    #expect(doubled.int32s() == [2, 4, 6, 8, 10])
  }

  @Test(arguments: kinds) func runsEveryFunction(_ kind: BackendKind) throws {
    let model = try load("two_functions", kind)
    #expect(model.modelDescription.functions.map(\.name) == ["twice", "thrice"])
    #expect(try model.predict(["x": x])["y"]?.floats() == [2, 4, 6, 8, 10, 12])
    #expect(try model.predict(["x": x], function: "thrice")["y"]?.floats() == [3, 6, 9, 12, 15, 18])
    #expect(try model.predict(["x": x], function: "twice")["y"]?.floats() == [2, 4, 6, 8, 10, 12])
  }

  @Test(arguments: kinds) func classifiersGiveTensors(_ kind: BackendKind) throws {
    let shares = try Tensor(shape: [1, 3], floats: [1, 2, 1])
    for (name, best) in [("texts", 1), ("integers", 40)] {
      let outputs = try load(name, kind).predict(["x": shares])
      let label = try #require(outputs["classLabel"])
      #expect(label.elementType == .int64 && label.shape.isEmpty && label.doubles() == [Double(best)])
      #expect(outputs["classLabel_probs"]?.floats() == [0.25, 0.5, 0.25])
    }
    struct Metadata: Decodable {
      struct Function: Decodable { let classifier: Classifier? }
      struct Classifier: Decodable, Equatable { let label, probabilities: String, classes: [String] }
      let functions: [String: Function]
    }
    let json = try #require(try load("texts", kind).metadataJSON)
    let metadata = try JSONDecoder().decode(Metadata.self, from: Data(json.utf8))
    #expect(
      metadata.functions["main"]?.classifier
        == Metadata.Classifier(
          label: "classLabel", probabilities: "classLabel_probs", classes: ["cat", "dog", "owl"]))
  }

  @Test func descriptionsAgree() throws {
    for name in ["linear", "add", "half", "integer", "multi_output", "two_functions", "texts", "integers"] {
      #expect(try load(name, .mlx).modelDescription == load(name, .coreml).modelDescription)
    }
    for name in ["ranges", "enumerated", "image_range", "image_sizes"] {
      #expect(try load(name, .mlx).modelDescription.inputs == load(name, .coreml).modelDescription.inputs)
    }
  }

  @Test(arguments: kinds) func flexibleInputsTellWhatTheyTake(_ kind: BackendKind) throws {
    let ranges = try #require(try load("ranges", kind).modelDescription.inputs.first)
    #expect(ranges.shape == [-1, 3] && ranges.defaultShape == [2, 3])
    #expect(ranges.allowedShapes == .ranges([.init(lower: 1, upper: 4), .init(lower: 3, upper: 3)]))
    #expect(ranges.accepts(shape: [4, 3]) && !ranges.accepts(shape: [5, 3]))
    let enumerated = try #require(try load("enumerated", kind).modelDescription.inputs.first)
    #expect(enumerated.allowedShapes == .enumerated([[2, 3], [4, 3]]) && enumerated.shape == [-1, 3])
    for (name, text) in [("ranges", "[1 to 4, 3]"), ("enumerated", "[2, 3] or [4, 3]")] {
      let error = #expect(throws: BackendError.self) {
        try load(name, kind).predict(["x": Tensor(shape: [5, 3], floats: [Float](repeating: 0, count: 15))])
      }
      #expect(error?.kind == .invalidArgument && "\(error.map { "\($0)" } ?? "")".contains(text))
    }
  }

  @Test(arguments: kinds) func metadataIsJSON(_ kind: BackendKind) throws {
    let text = try #require(try load("linear", kind).metadataJSON)
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(fields["specification_version"] as? Int == 7)
    #expect((fields["metadata"] as? [String: String])?["author"] == "Tintype")
  }

  @Test(arguments: kinds) func wrongInputsAreInvalidArguments(_ kind: BackendKind) throws {
    let model = try load("linear", kind)
    for (inputs, word) in try [
      ([:], "x"), (["x": x, "z": x], "z"), (["x": x.reshaped(to: [3, 2])], "[3, 2]"),
      (["x": x.converted(to: .float16)], "float16"), (["x": x.converted(to: .int64)], "int64"),
    ] {
      let error = try #require(throws: BackendError.self) { try model.predict(inputs) }
      #expect(error.kind == .invalidArgument)
      #expect(error.description.contains(word))
    }
    let error = try #require(throws: BackendError.self) { try model.predict(["x": x], function: "absent") }
    #expect(error.kind == .invalidArgument)
    #expect(error.description.contains("absent"))
  }

  /// The engine's words arrive unchanged through Core ML's API.
  @Test(arguments: [("truncated", BackendError.FailureKind.format), ("damaged", .format)])
  func damagedPackagesAreRefusedInTheSameWords(_ name: String, _ kind: BackendError.FailureKind) throws {
    let errors = try BackendTests.kinds.map { backend in
      try #require(throws: BackendError.self) { try load(name, backend) }
    }
    let kinds = errors.map(\.kind)
    if CoreMLPlatform.isApples {
      // Its words are its own. What its compiler refuses is a format; what it finds when it loads has no kind.
      #expect(kinds[1] == kind && [.format, .runtime].contains(kinds[0]))
    } else {
      #expect(kinds == [kind, kind])
      #expect(errors[0].description == errors[1].description)
    }
  }

  @Test(arguments: kinds) func aMissingPackageIsAnIOError(_ kind: BackendKind) throws {
    let error = try #require(throws: BackendError.self) { try load("absent", kind) }
    #expect(error.kind == .io)
    #expect(error.description.contains("absent.mlpackage"))
  }

  @Test func theEngineIsStrictlyTheNamedOne() throws {
    let backend = MLXBackend(engineLibrary: URL(fileURLWithPath: "/nowhere/engine.so"))
    let error = try #require(throws: BackendError.self) { try backend.checkAvailability() }
    guard case .unavailable(.mlx, let reason, let remedy) = error else {
      Issue.record("unexpected \(error)")
      return
    }
    #expect(reason == "the engine library was not found (looked for /nowhere/engine.so)")
    #expect(remedy.contains("docs/embedding.md"))
  }

  @Test(arguments: kinds) func oneModelServesManyTasks(_ kind: BackendKind) async throws {
    let model = try load("add", kind)
    let correct = try await withThrowingTaskGroup(of: Bool.self) { group in
      for task in 0..<24 {
        group.addTask {
          let a = try Tensor(shape: [2, 3], floats: [Float](repeating: Float(task), count: 6))
          let b = try Tensor(shape: [2, 3], floats: [0, 1, 2, 3, 4, 5])
          return try await model.predict(["a": a, "b": b])["sum"]?.floats() == (0..<6).map { Float($0 + task) }
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(correct == [Bool](repeating: true, count: 24))
  }

  /// A package's compiled form, opened without the package.
  private func compiled(_ name: String, in folder: TemporaryFolder) throws -> any LoadedModel {
    let backend = CoreMLBackend(cacheFolder: folder.url)
    return try backend.load(backend.compiledModel(of: Fixture.package(name)), units: .cpuOnly)
  }

  @Test func aCompiledModelCanBeOpenedItself() throws {
    let folder = try TemporaryFolder()
    let model = try compiled("linear", in: folder)
    #expect(model.modelDescription.inputs.map(\.name) == ["x"])
    #expect(try model.predict(["x": x])["y"]?.shape == [2, 4])
  }

  @Test func aCompiledModelHasItsStatesAndFunctions() throws {
    let folder = try TemporaryFolder()
    let stateful = try compiled("stateful", in: folder)
    #expect(try stateful.modelDescription == load("stateful", .mlx).modelDescription)
    let state = try stateful.makeState(function: nil)
    let half = try Tensor(shape: [2], floats: [1, 2]).converted(to: .float16)
    try state.set("total", to: half)
    let outputs = try stateful.predict(["x": half], options: PredictionOptions(state: state))
    #expect(outputs["y"]?.floats() == [2, 4])
    let several = try compiled("two_functions", in: folder)
    #expect(several.modelDescription.functions.map(\.name).sorted() == ["thrice", "twice"])
    for function in several.modelDescription.functions {
      let factor: Float = function.name == "thrice" ? 3 : 2
      #expect(try several.predict(["x": x], function: function.name)["y"]?.floats() == x.floats().map { factor * $0 })
    }
    let first = try several.predict(["x": x], function: several.modelDescription.functions.first?.name)
    #expect(try several.predict(["x": x])["y"]?.floats() == first["y"]?.floats())
  }
}
