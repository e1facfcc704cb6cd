# Builds libTintypeRuntime with SwiftPM and installs it, or installs a note that says why it is missing.
# The note is what `backend="coreml"` shows, so it must name the remedy.

function(tintype_without_swift reason)
  if(TINTYPE_SWIFT STREQUAL "ON")
    message(FATAL_ERROR "TINTYPE_SWIFT=ON, but ${reason}")
  endif()
  message(STATUS "Swift runtime: not built (${reason})")
  set(note "${CMAKE_BINARY_DIR}/NO_SWIFT.txt")
  file(WRITE "${note}" "this installation was built without the Swift runtime: ${reason}. \
Install Swift 6 or newer (swift.org/install, or Xcode 16 on a Mac) and reinstall tintype")
  install(FILES "${note}" DESTINATION tintype/lib)
endfunction()

function(tintype_add_swift_runtime)
  if(TINTYPE_SWIFT STREQUAL "OFF")
    tintype_without_swift("it was switched off with TINTYPE_SWIFT=OFF")
    return()
  endif()
  find_program(SWIFT_EXECUTABLE swift NO_CACHE)
  if(NOT SWIFT_EXECUTABLE)
    tintype_without_swift("no `swift` was found on the PATH")
    return()
  endif()
  execute_process(COMMAND "${SWIFT_EXECUTABLE}" --version OUTPUT_VARIABLE text ERROR_VARIABLE error
                  RESULT_VARIABLE status)
  string(REGEX MATCH "Swift version ([0-9]+)[0-9.]*" found "${text}")
  if(NOT status EQUAL 0 OR NOT found)
    tintype_without_swift("`${SWIFT_EXECUTABLE} --version` failed")
    return()
  endif()
  if(CMAKE_MATCH_1 LESS 6)
    tintype_without_swift("${found} is too old, version 6 is needed")
    return()
  endif()
  message(STATUS "Swift runtime: ${found}")

  set(scratch "${CMAKE_BINARY_DIR}/swift")
  set(library "${scratch}/release/${CMAKE_SHARED_LIBRARY_PREFIX}TintypeRuntime${CMAKE_SHARED_LIBRARY_SUFFIX}")
  set(flags -c release --product TintypeRuntime --scratch-path "${scratch}")
  if(NOT APPLE)
    # The wheel must run where no Swift is installed. (`--static-swift-stdlib` does not reach dynamic products.)
    # FoundationEssentials alone leaves out ICU: 14 MB instead of 58.
    list(APPEND flags -Xswiftc -static-stdlib -Xswiftc -DTINTYPE_ESSENTIALS_ONLY -Xlinker -s)
  endif()
  # SwiftPM knows best what is out of date, and a build with nothing to do takes about a second. It takes $CC for its
  # C targets, which build front ends set to a compiler that lacks what Swift's own clang has.
  add_custom_target(tintype_swift_runtime ALL
    COMMAND "${CMAKE_COMMAND}" -E env --unset=CC --unset=CXX "${SWIFT_EXECUTABLE}" build ${flags}
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
    BYPRODUCTS "${library}"
    COMMENT "Building the Swift runtime" USES_TERMINAL VERBATIM)
  install(PROGRAMS "${library}" DESTINATION tintype/lib)
endfunction()
