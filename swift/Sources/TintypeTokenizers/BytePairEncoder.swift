/// Byte-pair merging over ids: the pair of lowest rank is merged first, the leftmost of equals, until none is left.
///
/// The order is that of Hugging Face's `tokenizers` (models/bpe/word.rs); a queue keeps long words at n·log n.
struct BytePairEncoder: Sendable {
  /// A row of `merges.txt`: its position and the id that the pair becomes.
  struct Merge: Sendable, Equatable {
    let rank: Int32
    let id: Int32
  }

  private let merges: [UInt64: Merge]

  init(merges: [(left: Int32, right: Int32, id: Int32)]) {
    var table: [UInt64: Merge] = [:]
    table.reserveCapacity(merges.count)
    for (rank, row) in merges.enumerated() {
      table[Self.key(row.left, row.right)] = Merge(rank: Int32(clamping: rank), id: row.id)
    }
    self.merges = table
  }

  /// The ids of one word, given the ids of its single symbols.
  func merge(_ symbols: [Int32]) -> [Int32] {
    guard symbols.count > 1 else { return symbols }
    var ids = symbols
    var previous = Array(-1..<symbols.count - 1)
    var next = Array(1...symbols.count)
    next[symbols.count - 1] = -1
    var alive = Array(repeating: true, count: symbols.count)
    var queue = MergeQueue()

    func offer(_ left: Int, _ right: Int) {
      guard left >= 0, right >= 0, let merge = merges[Self.key(ids[left], ids[right])] else { return }
      queue.push(MergeQueue.Entry(rank: merge.rank, position: Int32(clamping: left), id: merge.id))
    }
    for index in 1..<symbols.count { offer(index - 1, index) }
    while let top = queue.pop() {
      let left = Int(top.position)
      let right = next[left]
      // Entries go stale when a neighbour was merged first.
      guard alive[left], right >= 0, merges[Self.key(ids[left], ids[right])]?.id == top.id else { continue }
      ids[left] = top.id
      alive[right] = false
      next[left] = next[right]
      if next[left] >= 0 { previous[next[left]] = left }
      offer(previous[left], left)
      offer(left, next[left])
    }
    return ids.indices.filter { alive[$0] }.map { ids[$0] }
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }
}

/// A binary heap of candidate merges, the smallest (rank, position) first.
private struct MergeQueue {
  struct Entry {
    let rank: Int32
    let position: Int32
    let id: Int32

    static func < (a: Entry, b: Entry) -> Bool {
      a.rank != b.rank ? a.rank < b.rank : a.position < b.position
    }
  }

  private var heap: [Entry] = []

  mutating func push(_ entry: Entry) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> Entry? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    guard !heap.isEmpty else { return top }
    heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      guard least != parent else { return top }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
