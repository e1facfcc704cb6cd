#pragma once

#include <functional>

namespace tintype {

/**
 * Runs `job` on the engine's one thread and waits for it; exceptions come back to the caller.
 *
 * MLX keeps a default stream a thread, starts a worker for each, and lets nobody else use it. One thread of
 * our own keeps callers' threads free of such state and runs calls of all threads and models one after the
 * other, which costs nothing: a stream of MLX computes one thing at a time.
 */
void on_engine_thread(const std::function<void()>& job);

}  // namespace tintype
