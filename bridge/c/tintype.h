/**
 * Tintype's C ABI: one function table that every runtime of ML Programs offers.
 *
 * Two libraries export such a table:
 *   libtintype_engine   `tintype_engine_api`   the C++ engine on MLX          (backend "mlx")
 *   libTintypeRuntime   `tintype_coreml_api`   the Swift runtime on Core ML   (backend "coreml")
 * so that a caller (pybind11, Swift, C) drives both with the same code:
 *
 *   const tt_api *api = tintype_engine_api(TT_ABI_VERSION);   // NULL: another ABI version
 *   tt_model *model = NULL; char *error = NULL;
 *   if (api->model_load("net.mlpackage", NULL, &model, &error) != TT_OK) { puts(error);
 * api->string_free(error); }
 *
 * Rules that hold for every function:
 *   - A function that can fail returns a `tt_status`. On failure `*error` (when `error` is not NULL) is set
 *     to a UTF-8 sentence that names the problem, the value and the remedy; free it with `string_free`.
 *     On success `*error` is set to NULL. Nothing throws, aborts or prints.
 *   - A NULL handle, a bad index or a struct of another size is TT_ERROR_INVALID_ARGUMENT, never a crash.
 *   - `_free` functions accept NULL.
 *   - Strings are UTF-8 and NUL-terminated. What a handle returns as `const char *` lives as long as the
 * handle.
 *   - A model may be used from several threads at once. One that is freed while a call uses it lives until
 * the call ends.
 *   - Entries are never NULL: what a runtime does not offer is TT_ERROR_UNSUPPORTED with the reason.
 *   - Structs that start with `size` are versioned by it: set it to sizeof the struct.
 */
#ifndef TINTYPE_H
#define TINTYPE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TT_EXPORT __declspec(dllexport)
#else
#define TT_EXPORT __attribute__((visibility("default")))
#endif

/** Raised by one whenever the meaning of an existing entry changes; appended entries only grow `tt_api.size`.
 */
#define TT_ABI_VERSION 2

/** Core ML allows rank 5; states and intermediate descriptions never exceed this. */
#define TT_MAX_RANK 8

typedef int32_t tt_status;
enum {
  TT_OK = 0,
  TT_ERROR_INVALID_ARGUMENT = 1, /**< the caller's values: names, shapes, dtypes, NULLs */
  TT_ERROR_IO = 2,               /**< a file is missing or cannot be read */
  TT_ERROR_FORMAT = 3,           /**< a file is damaged or contradicts itself */
  TT_ERROR_UNSUPPORTED = 4, /**< a valid model that this runtime cannot run (an op, a dtype, a feature) */
  TT_ERROR_RUNTIME = 5,     /**< the computation failed */
  TT_ERROR_OUT_OF_MEMORY = 6,
  TT_ERROR_UNAVAILABLE = 7, /**< this runtime does not exist on this machine */
  TT_ERROR_CANCELLED = 8
};

/** Element types. Values are part of the ABI. */
typedef int32_t tt_dtype;
enum {
  TT_BOOL = 1,
  TT_INT8 = 2,
  TT_UINT8 = 3,
  TT_INT16 = 4,
  TT_UINT16 = 5,
  TT_INT32 = 6,
  TT_UINT32 = 7,
  TT_INT64 = 8,
  TT_FLOAT16 = 9,
  TT_FLOAT32 = 10,
  TT_FLOAT64 = 11
};

/** What Core ML may use; the MLX engine accepts and ignores it. */
typedef int32_t tt_compute_units;
enum {
  TT_UNITS_ALL = 0,
  TT_UNITS_CPU_ONLY = 1,
  TT_UNITS_CPU_AND_GPU = 2,
  TT_UNITS_CPU_AND_NEURAL_ENGINE = 3
};

/** A view of an n-dimensional array that somebody else owns. */
typedef struct tt_tensor {
  const char* name;
  void* data;
  tt_dtype dtype;
  int32_t rank;
  int64_t shape[TT_MAX_RANK];
  int64_t strides[TT_MAX_RANK]; /**< in elements; may be negative or padded */
} tt_tensor;

typedef int32_t tt_feature_kind;
enum { TT_INPUT = 0, TT_OUTPUT = 1, TT_STATE = 2 };

typedef int32_t tt_content;
enum { TT_ARRAY = 0, TT_IMAGE = 1 };

/** How the program sees an image. Callers always hand in and get RGB; the runtime changes the order. */
typedef int32_t tt_color_layout;
enum {
  TT_NO_COLOR = 0, /**< of an array */
  TT_RGB = 1,
  TT_BGR = 2,
  TT_GRAYSCALE = 3,
  TT_GRAYSCALE_FLOAT16 = 4
};

/**
 * What a model says of one input, output or state.
 *
 * An image's dtype and shape are those it travels with: uint8 [height, width, 3] in RGB order, uint8
 * [height, width] in gray, float16 [height, width] for TT_GRAYSCALE_FLOAT16. As an input, the engine accepts
 * the program's own tensor ([1, channels, height, width] in its own dtype and order, values 0 to 255), too;
 * Core ML takes pictures alone. Outputs are rounded and limited to 0 to 255. A runtime that does not convert
 * images describes them as TT_ARRAY: that tensor.
 */
typedef struct tt_feature {
  const char* name;
  tt_dtype dtype;
  int32_t rank;               /**< -1: any rank */
  int64_t shape[TT_MAX_RANK]; /**< -1: flexible; the default shape where the package names one */
  int32_t optional;           /**< 1: may be left out of predict */
  tt_content content;
  tt_color_layout color_layout;
  int64_t width[2]; /**< of an image: the least and the largest, which is -1 without a limit; else zeros */
  int64_t height[2];
} tt_feature;

typedef struct tt_load_options {
  size_t size;
  tt_compute_units units;
  const char* cache_folder; /**< where compiled models are kept (Core ML); NULL: the system's cache folder */
} tt_load_options;

typedef struct tt_model tt_model;
typedef struct tt_result tt_result;

/** What a model keeps between predicts, such as caches of keys and values. */
typedef struct tt_state tt_state;

/**
 * Called on the thread that called predict, at the start, at the end and about every 50 ms between, also
 * without news, with the share of the work that is done (0 to 1, never falling). Any answer but 0 ends the
 * predict soon with TT_ERROR_CANCELLED.
 */
typedef int32_t (*tt_progress)(void* context, double fraction);

typedef struct tt_predict_options {
  size_t size;
  const char* function;       /**< of a package with several; NULL: its default function */
  tt_state* state;            /**< needed by a function with states; NULL without */
  tt_progress progress;       /**< NULL: nobody asks */
  void* progress_context;     /**< handed to `progress` as it is */
  int32_t collect_statistics; /**< 1: `result_statistics` has something to say; the predict takes longer */
} tt_predict_options;

typedef struct tt_api {
  uint32_t abi_version; /**< TT_ABI_VERSION */
  uint32_t size;        /**< sizeof(tt_api) of the library: later entries exist only if they lie below it */

  /** "mlx" or "coreml". */
  const char* name;

  /** JSON about this runtime: name, version, implementation, device, compute_units. Free with `string_free`.
   */
  char* (*describe_runtime)(void);

  /** TT_OK if models can run here; else TT_ERROR_UNAVAILABLE with the reason and the remedy. */
  tt_status (*available)(char** error);

  /** Opens an .mlpackage (or, Core ML only, .mlmodelc) and checks it. `options` may be NULL. */
  tt_status (*model_load)(const char* path, const tt_load_options* options, tt_model** model, char** error);
  void (*model_free)(tt_model* model);

  /** Functions of the package; index 0 is the default one. Out of range: NULL. */
  size_t (*function_count)(const tt_model* model);
  const char* (*function_name)(const tt_model* model, size_t index);

  /** Inputs, outputs, states of a function (NULL: the default one). Unknown function: 0. */
  size_t (*feature_count)(const tt_model* model, const char* function, tt_feature_kind kind);
  tt_status (*feature)(const tt_model* model, const char* function, tt_feature_kind kind, size_t index,
                       tt_feature* feature, char** error);

  /**
   * JSON about the model: {"specification_version", "functions": {name: {"ops": {op: count}, "fused": {name:
   * count}}}, "parameters", "weight_bytes", "metadata": {...}}; "fused" are ops that run as one, by the names
   * that statistics have. Keys a runtime cannot know are left out. Free with `string_free`.
   * A classifier's function has "classifier": {"label", "probabilities", "classes"}, the names of its outputs
   * and its labels: the label is an int64 (the place of a text among the classes), the probabilities a
   * vector.
   */
  char* (*model_metadata)(const tt_model* model);

  /**
   * Runs one function. Inputs are matched by name and read during the call only; dtype and shape must be the
   * described ones, strides are free. `*result` owns the outputs, in the order of the description.
   */
  tt_status (*predict)(tt_model* model, const tt_predict_options* options, const tt_tensor* inputs,
                       size_t input_count, tt_result** result, char** error);
  size_t (*result_count)(const tt_result* result);
  tt_status (*result_tensor)(const tt_result* result, size_t index, tt_tensor* tensor, char** error);
  void (*result_free)(tt_result* result);

  void (*string_free)(char* string);

  /**
   * A state of a function (NULL: the default one), all zeros. A state belongs to its model: it serves every
   * function of it that has the same states, and it may outlive it. While a predict uses it, every other use
   * is TT_ERROR_INVALID_ARGUMENT. A predict that fails or is cancelled leaves it as it was.
   */
  tt_status (*state_new)(tt_model* model, const char* function, tt_state** state, char** error);
  void (*state_free)(tt_state* state);

  /**
   * A view of one state's values, to read and to write; valid until the next predict with that state or
   * `state_free`.
   */
  tt_status (*state_tensor)(tt_state* state, const char* name, tt_tensor* tensor, char** error);

  /**
   * JSON about the predict, or NULL if nothing was collected: {"seconds", "ops": {op: {"calls", "seconds",
   * "bytes"}}, "peak_live_bytes", "peak_allocated_bytes", "weight_bytes"}. Keys a runtime cannot know are
   * left out. Free with `string_free`.
   */
  char* (*result_statistics)(const tt_result* result);

  /**
   * JSON about where the ops of a package would run and what they cost (Core ML's compute plan), without
   * running it. Free with `string_free`.
   */
  tt_status (*compute_plan)(const char* path, const tt_load_options* options, char** json, char** error);

  /**
   * The path of the file in which it is kept that this runtime could not run a package with these units on
   * this system, so that it is not tried again: JSON {"package", "reason", "date"}. An empty file beside it,
   * with the suffix .passed in the place of .json, says that the package's self-test was passed. Both are the
   * caller's to write and to remove. The name tells the package's content, the system's build, the chip and
   * the units. Free with `string_free`.
   */
  tt_status (*verdict_file)(const char* path, const tt_load_options* options, char** file, char** error);
} tt_api;

/** The engine's table, or NULL if the library speaks another ABI version. */
TT_EXPORT const tt_api* tintype_engine_api(uint32_t abi_version);

/** The Swift runtime's table, or NULL if the library speaks another ABI version. */
TT_EXPORT const tt_api* tintype_coreml_api(uint32_t abi_version);

#ifdef __cplusplus
}
#endif
#endif
