#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "run/model.h"

namespace tintype {

/** What a model keeps between predicts: one array a state feature, row-contiguous and nobody else's. */
class State {
 public:
  /** All zeros, for the states of `function`. */
  State(const Model& model, const LoadedFunction& function);

  /** Refuses unless this state is of `model` and has what `function` declares. */
  void check(const Model& model, const LoadedFunction& function) const;

  const std::vector<mlx::core::array>& values() const { return values_; }
  /** Takes the values that a predict left; `values` are evaluated. */
  void replace(std::vector<mlx::core::array> values);

  /** A writable view of one state's values. */
  void view(const std::string& name, tt_tensor& tensor);

  /** Holds a state for one call; refuses while another call holds it. */
  class Use {
   public:
    explicit Use(State* state);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    State* state_;
  };

 private:
  uint64_t model_;
  std::vector<Feature> features_;
  std::vector<mlx::core::array> values_;
  std::atomic<bool> busy_ = false;
};

}  // namespace tintype
