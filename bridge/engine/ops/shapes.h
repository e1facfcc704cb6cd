#pragma once

// What shapes must be for MLX to take them, refused with what was got and expected.
#include <initializer_list>
#include <string_view>

#include "ops/call.h"

namespace tintype {

/** Refuses unless the tensor arguments broadcast to one shape. */
void check_broadcast(const Call& call, std::initializer_list<std::string_view> names);

/** Refuses unless two shapes broadcast; `what` names both: "x and y". */
void check_broadcast(const Call& call, const std::string& what, const mx::Shape& a, const mx::Shape& b);

/** Refuses unless `from` broadcasts to `to`; `name` is what has it. */
void check_broadcast_to(const Call& call, std::string_view name, const mx::Shape& from, const mx::Shape& to);

/** Axes counted from 0, of a tensor of that rank; refuses one that comes twice. */
std::vector<int> checked_axes(const Call& call, std::string_view name, std::vector<int> axes, size_t rank);

/** Refuses unless the tensor argument `name` (if it is given) has `count` elements, one for each `what`. */
void check_count(const Call& call, std::string_view name, int64_t count, const std::string& what);

}  // namespace tintype
