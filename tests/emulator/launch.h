// How a kernel is found, described and started from outside.
//
// A parameter is described by three marks: r pointer to const, w pointer, s scalar; then the size
// in bytes; then f floating, i signed, u unsigned, x anything else. `const double*` is r8f.
#pragma once
#include <stdio.h>

#include "cuda.h"

namespace emu {

template <class T>
char* describe(char* to, char kind) {
    const char type = std::is_floating_point<T>::value ? 'f'
                      : std::is_signed<T>::value       ? 'i'
                      : std::is_unsigned<T>::value     ? 'u'
                                                       : 'x';
    return to + sprintf(to, "%c%zu%c ", kind, sizeof(T), type);
}

template <class T>
char* describe_parameter(char* to) {
    if constexpr (std::is_pointer<T>::value) {
        using Item = std::remove_pointer_t<T>;
        return describe<std::remove_cv_t<Item>>(to, std::is_const<Item>::value ? 'r' : 'w');
    } else {
        return describe<T>(to, 's');
    }
}

template <class... A>
void describe_kernel(void (*)(A...), char* to) {
    *to = 0;
    ((to = describe_parameter<std::remove_cv_t<A>>(to)), ...);
}

#define EMU_UNWATCHED __attribute__((no_sanitize("thread", "undefined")))
template <class... A>
struct Call {
    void (*kernel)(A...);
    void** values;

    template <size_t... I>
    EMU_UNWATCHED void make(std::index_sequence<I...>) const {
        kernel(*static_cast<std::remove_cv_t<A>*>(values[I])...);
    }
    EMU_UNWATCHED static void body(void* call) {
        static_cast<const Call*>(call)->make(std::index_sequence_for<A...>{});
    }
};
#undef EMU_UNWATCHED

template <class... A>
int launch(void (*kernel)(A...), const unsigned* grid, const unsigned* block, size_t shared_bytes,
           void** values) {
    Call<A...> call{kernel, values};
    return emu_run(Call<A...>::body, &call, grid, block, shared_bytes);
}

}  // namespace emu

#define EMU_EXPORT(NUMBER, KERNEL)                                                               \
    EMU_API int emu_launch_##NUMBER(const unsigned* grid, const unsigned* block, size_t bytes,   \
                                    void** values) {                                             \
        return emu::launch(KERNEL, grid, block, bytes, values);                                  \
    }                                                                                            \
    EMU_API void emu_signature_##NUMBER(char* to) { emu::describe_kernel(KERNEL, to); }
