import Foundation
import TestSupport
import Testing

@testable import Tintype

/// A small `bundle.json` with one place changed; each change has one error.
private func json(_ change: (inout [String: Any]) -> Void = { _ in }) throws -> Data {
  let spec: [String: Any] = ["name": "x", "dtype": "float32", "shape": [1, 2]]
  var object: [String: Any] = [
    "format": "tintype-bundle", "format_version": 2, "name": "tiny", "family": "sd3", "target": "gpu",
    "precision": "float32", "size": ["width": 32, "height": 16],
    "latent": ["channels": 4, "height": 2, "width": 4, "downscale": 8, "scale": 1.5, "shift": 0.1],
    "schedule": ["kind": "flow_match_euler", "shift": 3.0, "num_train_timesteps": 1000],
    "context": ["clip_tokens": 7, "t5_tokens": 7, "dim": 8], "pooled": ["dim": 6],
    "defaults": ["steps": 4, "guidance_scale": 3], "config": ["layers": 2, "deep": [1, 2.5, NSNull(), "x"]],
    "components": ["denoiser": ["path": "denoiser.mlpackage", "inputs": [spec], "outputs": [spec]]],
    "tokenizers": [
      "tokenizer": [
        "kind": "clip_bpe", "path": "tokenizer", "max_length": 7, "bos_token_id": 0, "eos_token_id": 1,
        "pad_token_id": 1,
      ]
    ], "a key of tomorrow": true,
  ]
  change(&object)
  return try JSONSerialization.data(withJSONObject: object)
}

/// Sets a value at a path of keys; nil removes it.
private func setting(_ path: [String], _ value: Any?) -> (inout [String: Any]) -> Void {
  { object in
    guard let key = path.first else { return }
    if path.count == 1 {
      object[key] = value
    } else {
      var child = object[key] as? [String: Any] ?? [:]
      setting(Array(path.dropFirst()), value)(&child)
      object[key] = child
    }
  }
}

@Suite struct ModelBundleTests {
  @Test func readsWhatThereIs() throws {
    let bundle = try ModelBundle.decode(json(), file: "bundle.json")
    #expect(bundle.size == ImageSize(width: 32, height: 16))
    #expect(bundle.latent.shape == [1, 4, 2, 4])
    #expect(bundle.knownComponents == [.denoiser])
    #expect(bundle.config?["deep"] == .array([.integer(1), .number(2.5), .null, .string("x")]))
    #expect(try JSONDecoder().decode(BundleDescriptor.self, from: JSONEncoder().encode(bundle)) == bundle)
  }

  @Test func dynamicSchedulesAreReadAndWritten() throws {
    let text = #"""
      {"kind": "flow_match_dynamic", "shift": 3, "num_train_timesteps": 1000, "base_shift": 0.5, "max_shift": 1.15,
       "base_image_seq_len": 256, "max_image_seq_len": 4096}
      """#
    let schedule = try JSONSerialization.jsonObject(with: Data(text.utf8))
    let bundle = try ModelBundle.decode(json(setting(["schedule"], schedule)), file: "bundle.json")
    let shift = try #require(bundle.schedule.dynamic)
    #expect(shift(tokens: 256) == 0.5)
    #expect(abs(shift(tokens: 4096) - 1.15) < 1e-12)
    #expect(try JSONDecoder().decode(BundleDescriptor.self, from: JSONEncoder().encode(bundle)) == bundle)
  }

  @Test(
    arguments: [
      (["format"], "onnx", "format is 'onnx', expected 'tintype-bundle': this is not a Tintype bundle"),
      (
        ["format_version"], "1",
        "format_version is 1, expected 2: update tintype, or convert the model again with this release"
      ),
      (["name"], nil, "name: it is missing: convert the model again"),
      (["size", "width"], "\"x\"", "size.width: expected an integer: convert the model again"),
      (["latent", "height"], "0", "latent.height is 0, expected an integer of at least 1: convert the model again"),
      (
        ["latent", "downscale"], "65536",
        "size is 32x16, expected 262144x131072, the latent's 4x2 times latent.downscale 65536: convert the model again"
      ),
      (
        ["latent", "channels"], "1025",
        "latent.channels is 1025, expected an integer of at most 1024: convert the model again"
      ),
      (
        ["latent", "scale"], "0",
        "latent.scale is 0.0, expected a finite number other than 0: convert the model again"
      ),
      (["precision"], "\"int4\"", "precision is 'int4', expected one of float16, float32: convert the model again"),
      (["target"], "\"tpu\"", "target is 'tpu', expected one of gpu, ane: convert the model again"),
      (["family"], "\"sd9\"", "family is 'sd9', expected one of sd3, flux: convert the model again"),
      (
        ["schedule", "kind"], "\"flow_match_dynamic\"", "schedule.base_shift: it is missing: convert the model again"
      ),
      (
        ["schedule"],
        #"""
        {"kind": "flow_match_dynamic", "shift": 1, "num_train_timesteps": 1000, "base_shift": 0.5, "max_shift": 1,
         "base_image_seq_len": 64, "max_image_seq_len": 64}
        """#,
        "schedule.base_image_seq_len is 64, expected less than max_image_seq_len 64: convert the model again"
      ),
      (
        ["components", "denoiser", "path"], "\"../x\"",
        "components.denoiser.path is '../x', expected a relative path inside the bundle, without '..': "
          + "convert the model again"
      ),
      (
        ["components", "denoiser", "inputs"], nil, "components.denoiser.inputs: it is missing: convert the model again"
      ),
      (
        ["components", "denoiser", "inputs"], "[]",
        "components.denoiser.inputs is empty, expected a non-empty list: convert the model again"
      ),
      (
        ["components", "denoiser", "outputs"], #"[{"name": "x", "dtype": "complex", "shape": [1]}]"#,
        "components.denoiser.outputs[0].dtype is 'complex', expected one of float16, float32, int32: "
          + "convert the model again"
      ),
      (
        ["components", "denoiser", "outputs"], #"[{"name": "x", "dtype": "int32", "shape": [1, -3]}]"#,
        "components.denoiser.outputs[0].shape is [1, -3], expected a list of positive integers that memory can hold: "
          + "convert the model again"
      ),
      (
        ["tokenizers", "tokenizer", "bos_token_id"], nil,
        "tokenizers.tokenizer.bos_token_id: it is missing: convert the model again"
      ),
      (
        ["tokenizers", "tokenizer", "kind"], "\"words\"",
        "tokenizers.tokenizer.kind is 'words', expected one of clip_bpe, t5_unigram: convert the model again"
      ),
    ] as [([String], String?, String)])
  func errorsNameKeyValueAndRemedy(_ path: [String], _ value: String?, _ message: String) throws {
    let parsed = value.map { text in
      (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) ?? text
    }
    let data = try json(setting(path, parsed))
    #expect {
      try ModelBundle.decode(data, file: "bundle.json")
    } throws: { error in
      #expect("\(error)" == "bundle.json: \(message)")
      return error is BundleError
    }
  }

  @Test func picturesThatMemoryCannotHoldAreRefused() throws {
    let data = try json { object in
      object["size"] = ["width": 16_384, "height": 16_384]
      object["latent"] = [
        "channels": 4, "height": 2048, "width": 2048, "downscale": 8, "scale": 1, "shift": 0,
      ]
    }
    let error = try #require(throws: BundleError.self) { try ModelBundle.decode(data, file: "bundle.json") }
    #expect(error.description.contains("size is [3, 16384, 16384], expected a list of positive integers that memory"))
  }

  @Test(arguments: ["/etc", "a/../../b", "..", "", ".", "C:\\x", "a\\b", "./"]) func pathsStayInside(_ path: String) {
    #expect(!BundleChecks.staysInside(path))
  }

  @Test(arguments: ["", "{", "[1]", "null", "{\"format\": 3}"]) func noJSONIsRefused(_ text: String) {
    #expect(throws: BundleError.self) { try ModelBundle.decode(Data(text.utf8), file: "bundle.json") }
  }

  /// One byte changed at a time: an error or another description, never a trap.
  @Test func damagedFilesEndInErrors() throws {
    let bytes = [UInt8](try json())
    for position in bytes.indices {
      var damaged = bytes
      damaged[position] = UInt8(truncatingIfNeeded: position &* 151 &+ 43)
      do {
        _ = try ModelBundle.decode(Data(damaged), file: "bundle.json")
      } catch {
        #expect(error is BundleError, "byte \(position) is \(damaged[position]): \(error)")
      }
    }
  }

  @Test func foldersMustBeThere() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.url.appendingPathComponent("bundle")
    #expect(throws: BundleError.noFolder(path: folder.path)) { try ModelBundle(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    #expect(throws: BundleError.notABundle(path: folder.path)) { try ModelBundle(at: folder) }
    let file = folder.appendingPathComponent("bundle.json")
    try json().write(to: file)
    #expect(throws: BundleError.notAFolder(path: file.path)) { try ModelBundle(at: file) }
    let missing = BundleError.missingFolder(
      file: file.path, key: "components.denoiser.path", path: "denoiser.mlpackage")
    #expect(throws: missing) { try ModelBundle(at: folder) }
    for name in ["denoiser.mlpackage", "tokenizer"] {
      let child = folder.appendingPathComponent(name)
      try FileManager.default.createDirectory(at: child, withIntermediateDirectories: false)
    }
    let bundle = try ModelBundle(at: folder)
    #expect(try bundle.packages(.denoiser).map(\.lastPathComponent) == ["denoiser.mlpackage"])
    let absent = BundleError.missingComponent(name: "vae_decoder", bundle: "tiny", known: ["denoiser"])
    #expect(throws: absent) { try bundle.packages(.vaeDecoder) }
  }
}
