import Testing
import Tintype

@Suite struct RGBImageTests {
  @Test(arguments: [(0, 1), (1, -1), (2, 1), (1 << 62, 1), (1, 1 << 62), (1 << 32, 1 << 32)])
  func bytesMustFillTheSize(_ width: Int, _ height: Int) {
    #expect(RGBImage(width: width, height: height, bytes: [1, 2, 3]) == nil)
  }
}
