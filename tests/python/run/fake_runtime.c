/**
 * A runtime without models, to test what the bridge makes of the C ABI: statuses, strides, ownership, the GIL.
 *
 * Every model has one function "main" (and "second", the same) that returns its inputs as they lie in memory, with
 * their strides applied, under the names "NAME_out". The path chooses what else happens:
 *   load-STATUS, predict-STATUS   fails with that status code
 *   slow, slow-MILLISECONDS       sleeps in load (before it fails), predict, states and freeing, for 300 ms or as long as it says
 *   abort                         ends the process in load
 *   bad-rank, bad-dtype, no-data  returns an output that breaks the ABI
 *   no-error-text                 fails to load without an error text
 * `fake_live_results` counts results that were not freed, `fake_last_data` is the address of the last input.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tintype.h"

struct tt_model {
  char *path;
};

struct tt_result {
  size_t count;
  tt_tensor *tensors;
};

TT_EXPORT int fake_live_results = 0;
TT_EXPORT int fake_live_models = 0;
TT_EXPORT int fake_loads = 0;
TT_EXPORT void *fake_last_data = NULL;
TT_EXPORT int fake_last_units = -1;

static char *copy(const char *text) {
  char *result = malloc(strlen(text) + 1);
  return strcpy(result, text);
}

static tt_status fail(tt_status status, char **error) {
  char text[80];
  snprintf(text, sizeof text, "[fake] failed with status %d: as asked, 100%% é", status);
  if (error != NULL) *error = copy(text);
  return status;
}

static tt_status asked(const char *path, const char *when) {
  const char *found = strstr(path, when);
  return found != NULL ? atoi(found + strlen(when)) : TT_OK;
}

static void doze(const char *path) {
  const char *found = strstr(path, "slow");
  const int said = found != NULL && found[4] == '-' ? atoi(found + 5) : 0;
  const int milliseconds = said > 0 ? said : 300;
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  if (found != NULL) nanosleep(&time, NULL);
}

static char *describe_apple(void) {
  return copy("{\"name\": \"coreml\", \"version\": \"1\", \"implementation\": \"apple\", \"device\": \"fake\"}");
}

static char *describe_mlx(void) { return copy("{\"name\": \"mlx\", \"version\": \"1\", \"device\": \"fake\"}"); }

static tt_status available(char **error) {
  if (error != NULL) *error = NULL;
  return TT_OK;
}

static tt_status unavailable(char **error) {
  if (error != NULL) *error = copy("[fake] nothing runs here: buy another machine");
  return TT_ERROR_UNAVAILABLE;
}

static tt_status load(const char *path, const tt_load_options *options, tt_model **model, char **error) {
  fake_loads += 1;
  fake_last_units = options != NULL ? options->units : -1;
  if (strstr(path, "no-error-text") != NULL) return TT_ERROR_RUNTIME;
  if (strstr(path, "abort") != NULL) {
    fputs("[fake] mps.dequantize: failed to verify\n", stderr);
    abort();
  }
  doze(path);
  tt_status status = asked(path, "load-");
  if (status != TT_OK) return fail(status, error);
  *model = malloc(sizeof(tt_model));
  (*model)->path = copy(path);
  fake_live_models += 1;
  if (error != NULL) *error = NULL;
  return TT_OK;
}

/** The table that stands for MLX runs everything: only Core ML's fails as asked. */
static tt_status load_always(const char *path, const tt_load_options *options, tt_model **model, char **error) {
  (void)path;
  return load("plain", options, model, error);
}

static void model_free(tt_model *model) {
  if (model == NULL) return;
  fake_live_models -= 1;
  doze(model->path);
  free(model->path);
  free(model);
}

static size_t function_count(const tt_model *model) { return model != NULL ? 2 : 0; }

static const char *function_name(const tt_model *model, size_t index) {
  (void)model;
  return index == 0 ? "main" : index == 1 ? "second" : NULL;
}

static size_t feature_count(const tt_model *model, const char *function, tt_feature_kind kind) {
  (void)model;
  (void)function;
  return kind == TT_INPUT ? 2 : kind == TT_OUTPUT ? 1 : 0;
}

static tt_status feature(const tt_model *model, const char *function, tt_feature_kind kind, size_t index,
                         tt_feature *out, char **error) {
  (void)model;
  (void)function;
  if (error != NULL) *error = NULL;
  memset(out, 0, sizeof *out);
  out->name = kind == TT_OUTPUT ? "x_out" : index == 0 ? "x" : "any";
  out->dtype = index == 0 ? TT_FLOAT16 : TT_INT32;
  out->rank = index == 0 ? 2 : -1;
  out->shape[0] = -1;
  out->shape[1] = 3;
  out->optional = index == 1;
  return TT_OK;
}

static char *metadata(const tt_model *model) {
  (void)model;
  return copy("{\"specification_version\": 8, \"metadata\": {\"author\": \"é\"}}");
}

static size_t item_size(tt_dtype dtype) {
  switch (dtype) {
    case TT_BOOL:
    case TT_INT8:
    case TT_UINT8: return 1;
    case TT_INT16:
    case TT_UINT16:
    case TT_FLOAT16: return 2;
    case TT_INT64:
    case TT_FLOAT64: return 8;
    default: return 4;
  }
}

static void gather(const tt_tensor *from, int axis, const char *source, char **target) {
  size_t size = item_size(from->dtype);
  if (axis == from->rank) {
    memcpy(*target, source, size);
    *target += size;
    return;
  }
  for (int64_t i = 0; i < from->shape[axis]; ++i) {
    gather(from, axis + 1, source + i * from->strides[axis] * (int64_t)size, target);
  }
}

static void echo(const tt_tensor *input, tt_tensor *output) {
  size_t count = 1;
  int64_t stride = 1;
  *output = *input;
  for (int axis = input->rank - 1; axis >= 0; --axis) {
    output->strides[axis] = stride;
    stride *= input->shape[axis];
    count *= (size_t)input->shape[axis];
  }
  char *name = malloc(strlen(input->name) + 5);
  strcat(strcpy(name, input->name), "_out");
  output->name = name;
  output->data = malloc(count * item_size(input->dtype) + 1);
  char *target = output->data;
  if (count > 0) gather(input, 0, input->data, &target);
}

static tt_status predict(tt_model *model, const tt_predict_options *options, const tt_tensor *inputs,
                         size_t input_count, tt_result **result, char **error) {
  (void)options;
  tt_status status = asked(model->path, "predict-");
  if (status != TT_OK) return fail(status, error);
  doze(model->path);
  *result = malloc(sizeof(tt_result));
  (*result)->count = input_count;
  (*result)->tensors = calloc(input_count + 1, sizeof(tt_tensor));
  for (size_t i = 0; i < input_count; ++i) {
    echo(&inputs[i], &(*result)->tensors[i]);
    fake_last_data = inputs[i].data;
    if (strstr(model->path, "bad-rank") != NULL) (*result)->tensors[i].rank = 9;
    if (strstr(model->path, "bad-dtype") != NULL) (*result)->tensors[i].dtype = 99;
    if (strstr(model->path, "no-data") != NULL) (*result)->tensors[i].data = NULL;
  }
  fake_live_results += 1;
  if (error != NULL) *error = NULL;
  return TT_OK;
}

static size_t result_count(const tt_result *result) { return result->count; }

static tt_status result_tensor(const tt_result *result, size_t index, tt_tensor *tensor, char **error) {
  if (index >= result->count) return fail(TT_ERROR_INVALID_ARGUMENT, error);
  *tensor = result->tensors[index];
  return TT_OK;
}

static void result_free(tt_result *result) {
  if (result == NULL) return;
  fake_live_results -= 1;
  for (size_t i = 0; i < result->count; ++i) {
    free((char *)result->tensors[i].name);
    free(result->tensors[i].data);
  }
  free(result->tensors);
  free(result);
}

static void string_free(char *string) { free(string); }

static tt_status no_state(tt_model *model, const char *function, tt_state **state, char **error) {
  (void)function;
  doze(model->path);
  *state = NULL;
  return fail(TT_ERROR_UNSUPPORTED, error);
}

static void state_free(tt_state *state) { (void)state; }

static tt_status no_state_tensor(tt_state *state, const char *name, tt_tensor *tensor, char **error) {
  (void)state;
  (void)name;
  (void)tensor;
  return fail(TT_ERROR_UNSUPPORTED, error);
}

static char *statistics(const tt_result *result) {
  (void)result;
  return NULL;
}

static tt_status no_plan(const char *path, const tt_load_options *options, char **json, char **error) {
  (void)path;
  (void)options;
  *json = NULL;
  return fail(TT_ERROR_UNSUPPORTED, error);
}

/** Beside the package, by its name and the units. */
static tt_status verdict_file(const char *path, const tt_load_options *options, char **file, char **error) {
  char text[4096];
  *error = NULL;
  snprintf(text, sizeof text, "%s-%d.json", path, options == NULL ? 0 : (int)options->units);
  *file = copy(text);
  return TT_OK;
}

#define TABLE(version, name, describe, is_available, load_function)                                              \
  {version,        sizeof(tt_api), name,    describe, is_available, load_function, model_free,                    \
   function_count, function_name,  feature_count, feature, metadata, predict, result_count, result_tensor,       \
   result_free,    string_free,    no_state, state_free, no_state_tensor, statistics, no_plan,         \
   verdict_file}

static const tt_api apple = TABLE(TT_ABI_VERSION, "coreml", describe_apple, available, load);
static const tt_api mlx = TABLE(TT_ABI_VERSION, "mlx", describe_mlx, available, load_always);
static const tt_api absent = TABLE(TT_ABI_VERSION, "coreml", describe_apple, unavailable, load);
static const tt_api strange = TABLE(TT_ABI_VERSION + 1, "coreml", describe_apple, available, load);

/** Fails as the path asks. */
TT_EXPORT const tt_api *fake_coreml_api(uint32_t version) { return version == TT_ABI_VERSION ? &apple : NULL; }

/** Always runs. */
TT_EXPORT const tt_api *fake_mlx_api(uint32_t version) { return version == TT_ABI_VERSION ? &mlx : NULL; }

/** Loads as a library, but says that no model can run. */
TT_EXPORT const tt_api *fake_absent_api(uint32_t version) { return version == TT_ABI_VERSION ? &absent : NULL; }

/** Speaks another ABI version. */
TT_EXPORT const tt_api *fake_strange_api(uint32_t version) {
  (void)version;
  return &strange;
}

/** Knows no version. */
TT_EXPORT const tt_api *fake_null_api(uint32_t version) {
  (void)version;
  return NULL;
}
