#include "support/error.h"

#include <algorithm>
#include <new>
#include <vector>

namespace tintype {

std::string describe(const Problem& problem) {
  std::string text;
  if (!problem.where.empty()) text += "[" + problem.where + "] ";
  text += problem.problem;
  if (!problem.got.empty()) text += ", got " + problem.got;
  if (!problem.expected.empty()) text += ", expected " + problem.expected;
  text += ".";
  if (!problem.remedy.empty()) text += " " + problem.remedy;
  return text;
}

void refuse(tt_status status, const Problem& problem) {
  throw EngineError(status, describe(problem));
}

tt_status status_of(const std::exception& error) {
  std::string_view text = error.what();
  bool allocation = text.find("Unable to allocate") != std::string_view::npos ||
                    text.find("bad_alloc") != std::string_view::npos;
  return allocation ? TT_ERROR_OUT_OF_MEMORY : TT_ERROR_RUNTIME;
}

void rethrow_as_refusal(const std::string& where) {
  try {
    throw;
  } catch (const EngineError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    std::string text = error.what();
    while (!text.empty() && text.back() == '.') text.pop_back();
    refuse(status_of(error), {where, "MLX refused it: " + text});
  }
}

std::string quoted(std::string_view text, size_t longest) {
  std::string out = "\"";
  for (char c : text.substr(0, longest)) {
    bool printable = static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f;
    out += printable ? c : '.';
  }
  if (text.size() > longest) out += "...";
  return out + "\"";
}

namespace {

// Length of the UTF-8 sequence that starts with `lead`; 0 if none does.
size_t sequence_length(unsigned char lead) {
  if (lead == 0) return 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

bool is_plain_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t length = sequence_length(lead);
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    bool surrogate = lead == 0xed && second >= 0xa0;
    bool too_large = lead == 0xf4 && second >= 0x90;
    if (overlong || surrogate || too_large) return false;
    i += length;
  }
  return true;
}

std::string closest_name(std::string_view name, const std::string_view* names, size_t count) {
  if (name.size() > 64) return {};
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  std::string_view found;
  for (size_t i = 0; i < count; ++i) {
    size_t distance = edit_distance(name, names[i]);
    if (distance < best) {
      best = distance;
      found = names[i];
    }
  }
  return std::string(found);
}

}  // namespace tintype
