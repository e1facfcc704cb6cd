#pragma once

namespace tintype {

/*
 * Of a process' threads only the one that forks lives on in the child: the engine's, MLX's and the locks that
 * they held are lost there, and whoever waits for them waits for ever. So a child of a process in which the
 * engine had started is told so. A child of one in which it had not starts its own.
 */

/** From here on a fork leaves the child without the engine. Before the first thread starts. */
void engine_starts();

/** Whether this process is such a child. */
bool is_forked();

/** TT_ERROR_RUNTIME in such a child. */
void refuse_if_forked();

}  // namespace tintype
