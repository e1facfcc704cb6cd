import CoreML
import Testing

@Suite struct SendableFeatureTests {
  @Test func valuesCrossTasks() async throws {
    let array = MLMultiArray(MLShapedArray<Float>(scalars: [1, 2], shape: [2]))
    let sent = try #require(MLSendableFeatureValue(MLFeatureValue(multiArray: array)))
    array[0] = 9
    let received = await Task { MLFeatureValue(sent).shapedArrayValue(of: Float.self)?.scalars }.value
    #expect(received == [1, 2])
    #expect(sent.isShapedArray && !sent.isScalar && sent.shapedArrayValue(of: Double.self) == nil)
  }

  @Test func valuesKeepTheirKinds() throws {
    #expect(MLSendableFeatureValue(3).integerValue == 3 && MLSendableFeatureValue(3).isScalar)
    #expect(MLSendableFeatureValue("a").stringValue == "a" && MLSendableFeatureValue(["a"]).type == .sequence)
    #expect(MLSendableFeatureValue(Float(1)).floatValue == 1 && MLSendableFeatureValue(1.5).doubleValue == 1.5)
    #expect(MLSendableFeatureValue(undefined: .image).isUndefined)
    let byText = try MLFeatureValue(dictionary: ["cat": 0.5])
    #expect(MLSendableFeatureValue(byText)?.stringDictionaryValue == ["cat": 0.5])
    let byNumber = try MLFeatureValue(dictionary: [7 as Int64: 1])
    let sent = try #require(MLSendableFeatureValue(byNumber))
    #expect(sent.integerDictionaryValue == [7: 1])
    #expect(MLFeatureValue(sent) == byNumber && MLFeatureValue(sent).dictionaryValue[7 as Int64] == 1)
    #expect(MLSendableFeatureValue(MLFeatureValue(sequence: MLSequence(int64s: [1]))) == nil)
  }

  @Test func equalValuesHashAlike() {
    #expect(Set([MLFeatureValue(int64: 1), MLFeatureValue(int64: 1), MLFeatureValue(double: 1)]).count == 2)
    #expect("\(MLFeatureValue(string: "cat"))" == "string: cat")
  }

  @Test func allNumbersAreValues() throws {
    let provider = try MLDictionaryFeatureProvider(dictionary: [
      "a": Int32(3), "b": UInt8(4), "c": Float(0.5), "d": Float16(0.25), "e": Double(2),
    ])
    #expect(provider["a"]?.int64Value == 3 && provider["b"]?.int64Value == 4)
    #expect(provider["c"]?.doubleValue == 0.5 && provider["d"]?.doubleValue == 0.25 && provider["e"]?.type == .double)
  }

  #if !TINTYPE_ESSENTIALS_ONLY
    @Test func valuesCastToRanges() {
      let values: [NSValue] = [NSValue(range: NSRange(location: 1, length: 4))]
      #expect(values[0] as? NSRange == NSRange(location: 1, length: 4))
      #expect((NSNumber(value: 1) as NSValue) as? NSRange == nil)
    }
  #endif
}
