/* The names that Cython gives the things of a module.
 *
 * A C file here says which module it is about, includes that module's generated C and this:
 *     #define MODULE 7edgectl_7_kernel_6modbus
 *     #include "modbus.c"
 *     #include "kernel.h"
 */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(kind, name) JOIN(JOIN(JOIN(__pyx_, kind), MODULE), JOIN(_, name))
#define F(name) NAME(f_, name) /* a cdef function */
#define T(name) NAME(t_, name) /* a struct or an enum, without the word */
#define E(name) NAME(e_, name) /* a name out of an enum */
/* The same of a module that it imports: OF(7quality, t, Sample). A function is a pointer there. */
#define OF(module, kind, name) \
    JOIN(JOIN(JOIN(JOIN(__pyx_, kind), _7edgectl_7_kernel_), module), JOIN(_, name))
