/// A Unigram language model: the split of a text into pieces whose summed log probability is highest.
///
/// Scores, ties and the treatment of unknown characters are those of Hugging Face's `tokenizers`
/// (models/unigram/model.rs, `encode_optimized`): an unknown character costs the lowest score less 10, unknown
/// neighbours become one piece.
struct UnigramModel: Sendable {
  private let scores: [Double]
  private let trie: ByteTrie
  private let unknownID: Int32
  private let unknownScore: Double
  /// Ids of `<0x00>` … `<0xFF>` where the file asks for bytes instead of the unknown piece.
  private let byteIDs: [Int32?]

  private static let unknownPenalty = 10.0

  init(pieces: [(text: String, score: Double)], unknownID: Int32, byteFallback: Bool) {
    scores = pieces.map(\.score)
    var trie = ByteTrie()
    for (id, piece) in pieces.enumerated() { trie.insert(Array(piece.text.utf8), id: Int32(clamping: id)) }
    self.trie = trie
    self.unknownID = unknownID
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    byteIDs = byteFallback ? (0...255).map { byte in trie.find(Self.byteName(byte)) } : []
  }

  /// The ids of a text.
  func encode(_ text: [Unicode.Scalar]) -> [Int32] {
    let bytes = Array(String(scalars: text).utf8)
    var ids: [Int32] = []
    var unknownStart: Int?
    func flushUnknown(upTo end: Int) {
      guard let start = unknownStart else { return }
      ids += fallback(bytes[start..<end])
      unknownStart = nil
    }
    for piece in bestPath(bytes) {
      if piece.id == unknownID {
        unknownStart = unknownStart ?? piece.start
      } else {
        flushUnknown(upTo: piece.start)
        ids.append(piece.id)
      }
    }
    flushUnknown(upTo: bytes.count)
    return ids
  }

  /// Viterbi over byte positions.
  private func bestPath(_ bytes: [UInt8]) -> [(start: Int, id: Int32)] {
    struct Node {
      var start = -1
      var id: Int32 = 0
      var score = 0.0
    }
    var best = Array(repeating: Node(), count: bytes.count + 1)
    var start = 0
    while start < bytes.count {
      let width = Self.characterWidth(bytes[start])
      let score = best[start].score
      var hasSingleCharacter = false
      func offer(_ id: Int32, _ pieceScore: Double, upTo end: Int) {
        if best[end].start < 0 || score + pieceScore > best[end].score {
          best[end] = Node(start: start, id: id, score: score + pieceScore)
        }
      }
      trie.prefixes(of: bytes[start...]) { id, length in
        offer(id, scores[Int(id)], upTo: start + length)
        if length == width { hasSingleCharacter = true }
      }
      if !hasSingleCharacter { offer(unknownID, unknownScore, upTo: min(start + width, bytes.count)) }
      start += width
    }
    var path: [(start: Int, id: Int32)] = []
    var end = bytes.count
    while end > 0, best[end].start >= 0 {
      path.append((best[end].start, best[end].id))
      end = best[end].start
    }
    return path.reversed()
  }

  /// The ids of a stretch of unknown characters.
  private func fallback(_ bytes: ArraySlice<UInt8>) -> [Int32] {
    if let id = trie.find(bytes) { return [id] }
    if byteIDs.isEmpty { return [unknownID] }
    let ids = bytes.compactMap { byteIDs[Int($0)] }
    return ids.count == bytes.count ? ids : [unknownID]
  }

  private static func byteName(_ byte: Int) -> ArraySlice<UInt8> {
    let hex = String(byte, radix: 16, uppercase: true)
    return Array("<0x\(hex.count == 1 ? "0" : "")\(hex)>".utf8)[...]
  }

  private static func characterWidth(_ first: UInt8) -> Int {
    switch first {
    case ..<0x80: 1
    case ..<0xE0: 2
    case ..<0xF0: 3
    default: 4
    }
  }
}

/// A trie over bytes; children of a node are a linked list, so that it is one flat array.
struct ByteTrie: Sendable {
  private struct Node {
    var byte: UInt8 = 0
    var id: Int32 = -1
    var firstChild: Int32 = -1
    var sibling: Int32 = -1
  }
  private var nodes = [Node()]
  /// The root's children by byte: every search begins there, and it has the most.
  private var roots = [Int32](repeating: -1, count: 256)

  /// A key that is there already gets the new id.
  mutating func insert(_ key: [UInt8], id: Int32) {
    guard let first = key.first else { return }
    if roots[Int(first)] < 0 {
      nodes.append(Node(byte: first))
      roots[Int(first)] = Int32(nodes.count - 1)
    }
    var node = Int(roots[Int(first)])
    for byte in key.dropFirst() {
      if let child = child(of: node, byte) {
        node = child
      } else {
        nodes.append(Node(byte: byte, sibling: nodes[node].firstChild))
        nodes[node].firstChild = Int32(nodes.count - 1)
        node = nodes.count - 1
      }
    }
    nodes[node].id = id
  }

  /// Calls `found` with the id and the length of every key that begins the bytes, shortest first.
  func prefixes(of bytes: ArraySlice<UInt8>, _ found: (Int32, Int) -> Void) {
    guard let first = bytes.first, roots[Int(first)] >= 0 else { return }
    var node = Int(roots[Int(first)])
    if nodes[node].id >= 0 { found(nodes[node].id, 1) }
    for (index, byte) in bytes.dropFirst().enumerated() {
      guard let child = child(of: node, byte) else { return }
      node = child
      if nodes[node].id >= 0 { found(nodes[node].id, index + 2) }
    }
  }

  /// The id of exactly these bytes.
  func find(_ key: ArraySlice<UInt8>) -> Int32? {
    var result: Int32?
    prefixes(of: key) { id, length in
      if length == key.count { result = id }
    }
    return result
  }

  private func child(of node: Int, _ byte: UInt8) -> Int? {
    var child = nodes[node].firstChild
    while child >= 0 {
      if nodes[Int(child)].byte == byte { return Int(child) }
      child = nodes[Int(child)].sibling
    }
    return nil
  }
}
