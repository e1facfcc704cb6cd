import Foundation
import Tintype

/// A file of prompts: what `tintype generate --prompt-file` draws, and into which files.
struct PromptFile {
  /// What the command line says for all lines.
  struct Common {
    let request: GenerationRequest
    let count: Int
    let source: SourceNames
    /// Where a line names some stages' backends or units, these are the others'.
    let configuration: PipelineConfiguration
    let output: URL
    let command: String
  }

  private let lines: [(place: String, text: String)]
  private let common: Common

  /// Reads the file, or the standard input of "-". Empty lines are left out.
  init(_ path: String, common: Common) throws {
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: problem, command: common.command) }
    let data: Data
    do {
      data =
        try path == "-"
        ? FileHandle.standardInput.readToEnd() ?? Data() : Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw fail("the prompts cannot be read from \(path) (\(CoreMLPlatform.reason(of: error)))")
    }
    guard var text = String(data: data, encoding: .utf8) else {
      throw fail("the prompts cannot be read from \(path) (it is no text in UTF-8)")
    }
    if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
    let source = path == "-" ? "the standard input" : path
    lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated().map {
      ("\(source), line \($0 + 1)", $1.trimmingCharacters(in: .whitespaces))
    }.filter { !$0.text.isEmpty }
    guard !lines.isEmpty else { throw fail("\(source) has no prompts: write one a line") }
    self.common = common
  }

  /// A line is a prompt, or a JSON object with a prompt and other settings, which take the place of the command line's,
  /// and perhaps with the picture's file as "output", from the output's folder on. Else the file is the output with the
  /// line's number among the prompts, the same from run to run. Throws errors that name the line.
  func jobs() throws -> [DrawingJob] {
    let digits = "\(lines.count)".count
    let files = PictureFiles()
    let jobs = try lines.enumerated().map { index, line in
      let number = "\(index + 1)"
      let output = common.output.numbered(String(repeating: "0", count: digits - number.count) + number)
      return try job(line.text, line.place, output, files)
    }
    try checkOutputs(jobs)
    return jobs
  }

  private func job(_ text: String, _ place: String, _ output: URL, _ files: PictureFiles) throws -> DrawingJob {
    var line = PromptLine(common, place: place, output: output)
    if text.hasPrefix("{") {
      let row: [String: JSONValue]
      do { row = try JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8)) } catch {
        throw line.fail("the line begins with { but is not JSON")
      }
      try line.take(row)
    } else {
      line.request.prompt = text
    }
    line.request.source = try line.source.source(files, place: "\(place): ", command: common.command)
    return DrawingJob(request: line.request, count: line.count, output: line.output, place: place)
  }

  /// No two pictures have the same file.
  private func checkOutputs(_ jobs: [DrawingJob]) throws {
    var seen: [String: String] = [:]
    for job in jobs {
      let place = job.place ?? ""
      for path in job.outputs.map(\.standardizedFileURL.path) {
        if let other = seen[path] {
          throw ArgumentError(
            problem: "\(place): \(path) is the file of \(other), too: name another output", command: common.command)
        }
        seen[path] = place
      }
    }
  }
}
