#include "check.h"
#include "support/json.h"

using namespace tintype;

TEST(reads_a_manifest) {
  Json json =
      Json::parse(R"( {"a": {"path": "x/yé\u00e9\ud83d\ude00\n"}, "n": [1, -2.5e3, true, null]} )", "M");
  CHECK_EQ(json.find("a")->string_at("path"), "x/yéé😀\n");
  CHECK(json.find("n")->items().size() == 4);
  CHECK(json.find("missing") == nullptr);
  CHECK_EQ(json.string_at("n"), "");
}

TEST(writes_what_it_reads) {
  std::string text = R"({"a": "q\"\\\u000a", "b": [1, 2], "c": {}, "d": true, "e": null})";
  CHECK_EQ(Json::parse(text, "M").dump(), text);
}

TEST(refuses_what_is_not_json) {
  struct Row {
    const char *text, *problem;
  };
  for (const Row& row :
       {Row{"", "the text ends early at byte 0"}, Row{"{", "the text ends early at byte 1"},
        Row{"{\"a\" 1}", "expected ':' at byte 5"}, Row{"[1,]", "unexpected character at byte 3"},
        Row{"\"abc", "a string is not closed at byte 4"},
        Row{"{} x", "more text after the document at byte 3"},
        Row{"\"\\u12g4\"", "a bad \\u escape at byte 6"},
        Row{"\"\\q\"", "an unknown escape in a string at byte 3"},
        Row{"\"\xff\"", "a string is not UTF-8 or holds a NUL at byte 3"},
        Row{"{1: 2}", "expected a member's name at byte 1"}}) {
    CHECK_REFUSED(
        TT_ERROR_FORMAT,
        std::string("[M] not valid JSON: ") + row.problem + ". Convert or download the package again.",
        Json::parse(row.text, "M"));
  }
  CHECK_REFUSED(TT_ERROR_FORMAT,
                "[M] not valid JSON: nested too deeply at byte 65. Convert or download the package again.",
                Json::parse(std::string(1000, '['), "M"));
}

int main() {
  return check::run_all();
}
