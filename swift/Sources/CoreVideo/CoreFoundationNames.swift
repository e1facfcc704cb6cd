// The names of Core Foundation that code around pixel buffers writes. There is no Core Foundation here, so they stand
// for Swift's own types.

/// What makes an object's memory. There is only the default one here, nil.
public final class CFAllocator: Sendable {
  private init() {}
}

/// A text, such as the key of an attribute.
public typealias CFString = String
/// A dictionary, such as the attributes of a pixel buffer.
public typealias CFDictionary = [AnyHashable: Any]
/// A truth value in a dictionary.
public typealias CFBoolean = Bool
/// A code of four characters, such as a pixel format.
public typealias OSType = UInt32

// Optional in the way that imported C pointers are: callers may or may not unwrap them.
// swift-format-ignore: NeverUseImplicitlyUnwrappedOptionals
/// The default allocator.
public let kCFAllocatorDefault: CFAllocator! = nil
// swift-format-ignore: NeverUseImplicitlyUnwrappedOptionals
/// True, as dictionaries of attributes hold it.
public let kCFBooleanTrue: CFBoolean! = true
// swift-format-ignore: NeverUseImplicitlyUnwrappedOptionals
/// False, as dictionaries of attributes hold it.
public let kCFBooleanFalse: CFBoolean! = false
