# Finds Python, pybind11 and MLX, and keeps a copy of what is compiled against inside the build folder.
#
# pip builds in a new isolated environment every time, so the headers of mlx and pybind11 have another path and
# another date at each build, and everything would be compiled again. A copy per version stays where it is.

# Copies SOURCE/<each of ARGN> into SNAPSHOT, once.
function(tintype_snapshot source snapshot)
  if(EXISTS "${snapshot}/.complete")
    return()
  endif()
  foreach(part IN LISTS ARGN)
    if(EXISTS "${source}/${part}")
      file(COPY "${source}/${part}" DESTINATION "${snapshot}")
    endif()
  endforeach()
  file(TOUCH "${snapshot}/.complete")
endfunction()

function(tintype_run_python out)
  execute_process(COMMAND "${Python_EXECUTABLE}" -c "${ARGN}" OUTPUT_VARIABLE text OUTPUT_STRIP_TRAILING_WHITESPACE
                  RESULT_VARIABLE status ERROR_VARIABLE error)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${Python_EXECUTABLE} cannot import what the build needs; install mlx and pybind11 first:\n${error}")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

macro(tintype_find_packages)
  set(PYBIND11_FINDPYTHON ON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)

  # importlib.metadata and find_spec instead of `import mlx`: nothing of the packages runs.
  tintype_run_python(_sdk [[
import importlib.util as u, importlib.metadata as m, pathlib
mlx = list(u.find_spec("mlx").submodule_search_locations)[0]
pybind11 = list(u.find_spec("pybind11").submodule_search_locations)[0]
print(";".join([mlx, m.version("mlx"), pybind11, m.version("pybind11")]))]])
  list(GET _sdk 0 _mlx_folder)
  list(GET _sdk 1 TINTYPE_MLX_VERSION)
  list(GET _sdk 2 _pybind11_folder)
  list(GET _sdk 3 _pybind11_version)

  set(_snapshot "${CMAKE_BINARY_DIR}/sdk/mlx-${TINTYPE_MLX_VERSION}")
  # libmlx of the Linux wheel looks for its BLAS in ../../mlx_cpu.libs.
  tintype_snapshot("${_mlx_folder}/.." "${_snapshot}" mlx mlx_cpu.libs)
  set(MLX_DIR "${_snapshot}/mlx/share/cmake/MLX" CACHE PATH "" FORCE)
  find_package(MLX CONFIG REQUIRED)

  set(_snapshot "${CMAKE_BINARY_DIR}/sdk/pybind11-${_pybind11_version}")
  tintype_snapshot("${_pybind11_folder}/.." "${_snapshot}" pybind11)
  set(pybind11_DIR "${_snapshot}/pybind11/share/cmake/pybind11" CACHE PATH "" FORCE)
  find_package(pybind11 CONFIG REQUIRED)
  message(STATUS "mlx ${TINTYPE_MLX_VERSION}, pybind11 ${_pybind11_version}, Python ${Python_VERSION}")
endmacro()
