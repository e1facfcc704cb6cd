/// Ids of one text, cut and padded to a fixed length.
public struct TokenizedText: Sendable, Equatable {
  /// The ids, as many as the length asked for.
  public let ids: [Int32]
  /// How many of them are not padding.
  public let used: Int
  /// How many tokens of the text did not fit and were cut off its end.
  public let dropped: Int

  /// A prompt's ids, with how many of them are its own and how many were cut.
  public init(ids: [Int32], used: Int, dropped: Int) {
    self.ids = ids
    self.used = used
    self.dropped = dropped
  }
}

/// Turns text into ids.
///
/// text ─► special tokens cut out ─► normalised ─► split into words ─► word ─► ids ─► special tokens added
public protocol TextTokenizer: Sendable {
  /// The id that fills the rest of a fixed length.
  var padTokenID: Int32 { get }

  /// The ids of the special tokens that stand before and after the text's own.
  var specialTokens: (before: [Int32], after: [Int32]) { get }

  /// The text's own ids, without the special tokens around them.
  func contentIDs(_ text: String) -> [Int32]
}

extension TextTokenizer {
  /// All ids of the text with the special tokens around them, neither cut nor padded.
  public func encode(_ text: String) -> [Int32] {
    let special = specialTokens
    return special.before + contentIDs(text) + special.after
  }

  /// Exactly `length` ids: the text's end is cut where it is too long (the closing special token stays), and padding
  /// follows where it is too short.
  public func encode(_ text: String, length: Int) -> TokenizedText {
    let special = specialTokens
    let room = max(0, length - special.before.count - special.after.count)
    let content = contentIDs(text)
    let used = (special.before + content.prefix(room) + special.after).prefix(max(0, length))
    let padding = Array(repeating: padTokenID, count: max(0, length - used.count))
    return TokenizedText(ids: used + padding, used: used.count, dropped: max(0, content.count - room))
  }
}
