/* A plugin for qemu-user that counts the guest's instructions. The guest marks a place by getpriority(MARK, tag), a system call
 * that does nothing else; each mark appends the line "tag count" to the file named by the argument `out`.
 *
 *   cc -O2 -fPIC -shared -o instructions.so instructions.c
 *   qemu-aarch64 -plugin ./instructions.so,out=counts.txt PROGRAM
 *
 * The interface is declared here, since Debian ships qemu-user without its header. Callbacks rather than inline counting: the
 * inline form has changed between QEMU versions, and a callback can count all threads. -DPLUGIN_API=4 for QEMU 9 and later.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef PLUGIN_API
#define PLUGIN_API 1
#endif
#define EXPORT __attribute__((visibility("default")))
#define MARK 20201u
#define GETPRIORITY_ARM64 141

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef void (*translated_callback)(plugin_id, struct qemu_plugin_tb *);
typedef void (*executed_callback)(unsigned cpu, void *data);
typedef void (*syscall_callback)(plugin_id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                 uint64_t, uint64_t);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated_callback);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed_callback, int flags, void *data);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, syscall_callback);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORT int qemu_plugin_version = PLUGIN_API;

static uint64_t executed;
static FILE *out;

/* Called before each translated block runs; `data` is its number of instructions. */
static void on_execution(unsigned cpu, void *data) {
  (void)cpu;
  __atomic_fetch_add(&executed, (uint64_t)(uintptr_t)data, __ATOMIC_RELAXED);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_cb(block, on_execution, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t which, uint64_t tag, uint64_t a3, uint64_t a4,
                       uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
  (void)id, (void)cpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  if (number != GETPRIORITY_ARM64 || (uint32_t)which != MARK) return;
  fprintf(out, "%" PRIu64 " %" PRIu64 "\n", tag, __atomic_load_n(&executed, __ATOMIC_RELAXED));
  fflush(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
    fprintf(stderr, "instructions: expected out=FILE\n");
    return 1;
  }
  out = fopen(argv[0] + 4, "w");
  if (out == NULL) {
    perror(argv[0] + 4);
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
  return 0;
}
