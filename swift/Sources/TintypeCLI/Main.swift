import Tintype

@main
struct Main {
  static func main() {
    print("tintype \(tintypeVersion)")
  }
}
