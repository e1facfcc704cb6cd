#pragma once

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "support/error.h"

namespace check {

/** A named case; registered by TEST and run by run_all. */
struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& text) {
  ++failures();
  std::printf("%s:%d: %s\n", file, line, text.c_str());
}

inline void equal(const std::string& got, const std::string& expected, const char* file, int line) {
  if (got != expected) fail(file, line, "got      " + got + "\n    expected " + expected);
}

/** The text of the EngineError that `body` throws; "" and a failure if it throws none or another status. */
template <typename Body>
std::string refusal(tt_status status, const Body& body, const char* file, int line) {
  try {
    body();
  } catch (const tintype::EngineError& error) {
    if (error.status() != status)
      fail(file, line, "status " + std::to_string(error.status()) + ": " + error.what());
    return error.what();
  } catch (const std::exception& error) {
    fail(file, line, std::string("another exception: ") + error.what());
    return error.what();
  }
  fail(file, line, "nothing was refused");
  return "";
}

inline int run_all() {
  int passed = 0, failed = 0;
  for (const Case& each : cases()) {
    int before = failures();
    try {
      each.run();
    } catch (const std::exception& error) {
      fail(each.name, 0, std::string("exception: ") + error.what());
    }
    bool good = failures() == before;
    if (!good) std::printf("FAILED %s\n", each.name);
    ++(good ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}

}  // namespace check

#define TEST(name)                                           \
  static void name();                                        \
  static const check::Register register_##name(#name, name); \
  static void name()
#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) check::fail(__FILE__, __LINE__, "not true: " #condition); \
  } while (false)
#define CHECK_EQ(got, expected) check::equal((got), (expected), __FILE__, __LINE__)
#define CHECK_REFUSED(status, text, body) \
  check::equal(check::refusal((status), [&] { body; }, __FILE__, __LINE__), (text), __FILE__, __LINE__)
