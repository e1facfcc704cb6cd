#pragma once

#include <functional>

namespace tintype {

/**
 * Runs `job` on the engine's one thread and waits for it; exceptions come back to the caller.
 *
 * MLX keeps a default stream a thread, starts a worker for each, and lets nobody else use it. One thread of
 * our own keeps callers' threads free of such state and runs calls of all threads and models one after the
 * other, which costs nothing: a stream of MLX computes one thing at a time.
 *
 * While the caller waits, `wanted` is asked about every 50 ms on its own thread whether the job is still
 * wanted; a job that is not and has not begun is dropped, and TT_ERROR_CANCELLED thrown. One that has begun
 * must find out by itself.
 */
void on_engine_thread(const std::function<void()>& job, const std::function<bool()>& wanted = {});

/**
 * Runs a short `job` on this thread, if the engine's thread has none at the moment; false if it has, and
 * nothing has run. Handing a job over and waiting for it takes longer than many of them. The job's arrays are
 * of the engine's stream, as they are there.
 */
bool in_engines_place(const std::function<void()>& job);

}  // namespace tintype
