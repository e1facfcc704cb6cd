import Tintype

extension GenerateCommand {
  static let spec = CommandSpec(
    name: "generate", summary: "Draw a picture.", discussion: "Draw PROMPT.",
    positionals: [
      .init(
        name: "PROMPT", help: "What the picture shows; put quotes around it.", unless: ["--from", "--prompt-file"])
    ],
    options: requestOptions + sourceOptions + runOptions,
    examples: [
      "tintype generate \"a red circle above a blue square\"",
      "tintype generate \"a photo of a cat\" --model sd3.bundle --seed 7 -o cat.png",
      "tintype generate --from cat.png --model sd3.bundle --steps 50 -o better.png",
      "tintype generate \"a photo of a dog\" --model sd3.bundle --image cat.png --strength 0.7",
      "tintype generate --prompt-file prompts.txt --model sd3.bundle --resume -o pictures/out.png",
    ])

  private static let requestOptions: [CommandSpec.Option] = [
    .init(
      name: "--from", value: "PNG",
      help: "Take prompt and settings from a picture that tintype wrote; what else is given replaces them."),
    .model,
    .init(
      name: "--prompt-file", value: "FILE",
      help:
        "Draw every line of a text file (-: the standard input): a prompt, or a JSON object with a prompt and other "
        + "settings, {\"prompt\": \"a cat\", \"seed\": 7, \"output\": \"cat.png\"}. Files are numbered by line."),
    .init(name: "--resume", help: "Leave out what --prompt-file has drawn already, by its files."),
    .init(name: "--negative-prompt", value: "TEXT", help: "What the picture should not show."),
    .init(name: "--steps", value: "N", help: "Denoising steps. [default: the model's]"),
    .init(
      name: "--guidance-scale", value: "G",
      help: "How strongly the prompt is followed; 1 or less: without guidance. [default: the model's]"),
    .init(name: "--seed", value: "N", help: "0 to 4294967295. [default: a random one, which is printed]"),
    .init(
      name: "--generator", value: "NAME", choices: NoiseGenerator.allCases.map(\.rawValue),
      help: "What draws the noise from the seed: numpy as Python's tintype does, torch as diffusers does on the CPU, "
        + "philox as PyTorch does on CUDA. [default: numpy]"),
    .init(
      name: "--count", value: "N",
      help: "How many pictures; the seed's noise continues from one to the next. [default: 1]"),
  ]

  private static let sourceOptions: [CommandSpec.Option] = [
    .init(
      name: "--image", value: "FILE",
      help: "Picture to begin with, instead of noise alone, of the model's size unless --resize is given: PNG; on "
        + "Apple's systems also JPEG, HEIC, TIFF and others."),
    .init(
      name: "--mask", value: "FILE",
      help: "Picture of the size of --image: white where it is drawn anew, black where it stays. [default: all is "
        + "drawn anew]"),
    .init(
      name: "--resize", value: "HOW", choices: Resizing.allCases.map(\.rawValue),
      help: "What becomes of an --image of another size than the model's: fill scales it and cuts off what is too "
        + "wide or too high, stretch scales each side. [default: an error]"),
    .init(
      name: "--strength", value: "S",
      help: "How far the picture may leave --image, above 0 up to 1. [default: \(ImageSource.defaultStrength)]"),
  ]

  private static let runOptions: [CommandSpec.Option] = [
    .size,
    .stageBackend, .stageUnits, .timeBox,
    .init(name: "--no-t5", help: "Run as if the model had no T5 text encoder."),
    .init(
      name: "--output", short: "-o", value: "FILE",
      help:
        "File to write: PNG, with the settings inside; on Apple's systems also .jpg, .heic and .tiff. Several are "
        + "numbered, out-1.png. An existing file is replaced. [default: out.png]"),
    .init(
      name: "--latents-out", value: "FILE",
      help: "Also write the final latents, float32 [1, C, h, w], into a .npy or .safetensors file."),
    .init(
      name: "--noise-out", value: "FILE",
      help: "Also write the initial noise, float32 [1, C, h, w], into a .npy or .safetensors file."),
    .init(
      name: "--preview-folder", value: "FOLDER",
      help: "Also write a small preview of every step, as PNG files, into this folder."),
    .memoryBudget, .reduceMemory, .stats, .quiet,
    .init(name: "--json", help: "Print settings, backends and timings as JSON; of several pictures, a list."),
  ]
}
