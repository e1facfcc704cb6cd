#include "ops/suppression.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tintype {

namespace {

/** One box as MIL gives it. */
struct Box {
  double x, y, width, height;  // of the centre, and whole
};

// Shared area over joined area; 0 of boxes without one.
double overlap(const Box& a, const Box& b) {
  auto shared = [](double p, double p_size, double q, double q_size) {
    return std::min(p + p_size / 2, q + q_size / 2) - std::max(p - p_size / 2, q - q_size / 2);
  };
  double common =
      std::max(0.0, shared(a.x, a.width, b.x, b.width)) * std::max(0.0, shared(a.y, a.height, b.y, b.height));
  double joined = a.width * a.height + b.width * b.height - common;
  return common > 0 && joined > 0 ? common / joined : 0;
}

/** What suppression keeps of one batch: `classes` scores a box, the best one decides. */
struct Suppression {
  double overlap_limit, lowest_score;
  bool by_class;
  size_t most;

  std::vector<int> kept(const Call& call, const std::vector<Box>& boxes, const double* scores,
                        size_t classes) const {
    std::vector<double> best(boxes.size());
    std::vector<ptrdiff_t> label(boxes.size());
    std::vector<int> order(boxes.size()), chosen;
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = 0; i < boxes.size(); ++i) {
      const double *row = scores + i * classes, *top = std::max_element(row, row + classes);
      best[i] = classes ? *top : 0, label[i] = top - row;
    }
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return best[a] > best[b]; });
    for (int i : order) {
      if (chosen.size() == most || !(best[i] >= lowest_score)) break;
      call.poll();
      bool covered = std::any_of(chosen.begin(), chosen.end(), [&](int j) {
        return (!by_class || label[i] == label[j]) && overlap(boxes[i], boxes[j]) > overlap_limit;
      });
      if (!covered) chosen.push_back(i);
    }
    if (chosen.empty() && most > 0 && !order.empty()) chosen.push_back(order[0]);  // never nothing
    return chosen;
  }
};

}  // namespace

std::vector<array> non_maximum_suppression(Call& call) {
  bool first_form = call.has("score_threshold");
  auto boxes_first = [&](const array& x) { return first_form ? x : mx::swapaxes(x, 1, 2); };
  const array &given = call.tensor("boxes"), &given_scores = call.tensor("scores");
  if (given.ndim() != 3 || given_scores.ndim() != 3) {
    call.fail("boxes or scores have a wrong rank",
              std::to_string(given.ndim()) + " and " + std::to_string(given_scores.ndim()), "3 and 3");
  }
  array boxes = boxes_first(given), scores = boxes_first(given_scores);
  if (boxes.shape(2) != 4 || boxes.shape(0) != scores.shape(0) || boxes.shape(1) != scores.shape(1))
    call.fail("boxes and scores do not fit",
              describe_shape(given.shape()) + " and " + describe_shape(given_scores.shape()),
              first_form ? "[b, n, 4] and [b, n, classes]" : "[b, 4, n] and [b, classes, n]");
  int most = call.integer("max_boxes"), batch = boxes.shape(0);
  constexpr int kMostBoxes = 1 << 24;  // of all images
  if (most < 0 || most > kMostBoxes / std::max(batch, 1)) {
    call.fail("max_boxes is impossible", std::to_string(most),
              "0 to " + std::to_string(kMostBoxes / std::max(batch, 1)));
  }
  Suppression suppression{call.number("iou_threshold"), call.number_or("score_threshold", -INFINITY),
                          call.flag_or("per_class_suppression", false), static_cast<size_t>(most)};
  std::vector<double> numbers = call.values(boxes), score = call.values(scores);
  auto count = static_cast<size_t>(boxes.shape(1)), classes = static_cast<size_t>(scores.shape(2));
  std::vector<int> indices, counts;
  for (size_t b = 0; b < static_cast<size_t>(batch); ++b) {
    std::vector<Box> each(count);
    for (size_t i = 0; i < count; ++i) {
      const double* box = &numbers[(b * count + i) * 4];
      each[i] = {box[0], box[1], box[2], box[3]};
    }
    std::vector<int> chosen = suppression.kept(call, each, score.data() + b * count * classes, classes);
    counts.push_back(static_cast<int>(chosen.size()));
    chosen.resize(static_cast<size_t>(most), -1);
    indices.insert(indices.end(), chosen.begin(), chosen.end());
  }
  array index = array(indices.begin(), {batch, most});
  array filled = mx::expand_dims(mx::greater_equal(index, array(0)), -1);
  auto picked = [&](const array& x) {
    if (count == 0) return boxes_first(mx::zeros({batch, most, x.shape(2)}, x.dtype()));
    array rows = mx::expand_dims(mx::maximum(index, array(0)), -1);
    array found = mx::take_along_axis(x, mx::broadcast_to(rows, {batch, most, x.shape(2)}), 1);
    return boxes_first(mx::where(filled, found, array(0, x.dtype())));
  };
  return {picked(boxes), picked(scores), index, array(counts.begin(), {batch})};
}

}  // namespace tintype
