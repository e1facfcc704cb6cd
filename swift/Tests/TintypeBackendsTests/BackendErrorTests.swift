import Testing
import TintypeBackends

@Suite struct BackendErrorTests {
  @Test(arguments: [
    (
      BackendError.unavailable(backend: .mlx, reason: "no engine", remedy: "build it"),
      "backend \"mlx\" cannot run here: no engine; build it"
    ),
    (.missingInput(name: "x", known: ["x", "y"]), "input \"x\" is missing; the model takes \"x\", \"y\""),
    (.unknownInput(name: "z", known: ["x"]), "input \"z\" is not one of the model's; it takes \"x\""),
    (.unknownFunction(name: "f", known: ["main"]), "function \"f\" does not exist in this package; it has \"main\""),
    (
      .shapeMismatch(name: "x", expected: [1, 2], actual: [2, 1]),
      "input \"x\" has shape [2, 1], the model takes [1, 2]"
    ),
    (
      .elementTypeMismatch(name: "x", expected: .float16, actual: .float32),
      "input \"x\" is float32, the model takes float16; convert it with converted(to:)"
    ),
    (.failed(backend: .mlx, kind: .runtime, message: "as the engine said"), "as the engine said"),
  ])
  func textNamesTheValues(_ error: BackendError, _ text: String) {
    #expect(error.description == text)
  }
}
