/** The one place that holds Tintype's version: CMake, pyproject.toml and Swift read it from here. */
#ifndef TINTYPE_VERSION_H
#define TINTYPE_VERSION_H

#define TT_VERSION "0.1.0"

#endif
