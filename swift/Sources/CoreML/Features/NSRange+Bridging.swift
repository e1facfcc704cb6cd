#if !TINTYPE_ESSENTIALS_ONLY
  /// On Apple's systems an `NSValue` can be cast to the range that it holds (`sizeRangeForDimension[0] as? NSRange`), and
  /// so it can where this module is imported.
  extension NSRange: @retroactive _ObjectiveCBridgeable {
    /// As an object.
    public func _bridgeToObjectiveC() -> NSValue { NSValue(range: self) }

    /// From an object, when it is known to hold a range.
    public static func _forceBridgeFromObjectiveC(_ source: NSValue, result: inout NSRange?) {
      result = source.rangeValue
    }

    /// From an object, where it holds a range.
    public static func _conditionallyBridgeFromObjectiveC(_ source: NSValue, result: inout NSRange?) -> Bool {
      // A number is a value, too, and holds none.
      if source is NSNumber { return false }
      result = source.rangeValue
      return true
    }

    /// From an object; no object is an empty range.
    public static func _unconditionallyBridgeFromObjectiveC(_ source: NSValue?) -> NSRange {
      source?.rangeValue ?? NSRange(location: 0, length: 0)
    }
  }
#endif
