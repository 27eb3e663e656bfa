// fork and exec of this very program, with arguments and environment. QEMU's user emulation cannot exec a program of its guest without
// help from the host, so this one is judged by its own checks alone.
#include <sys/wait.h>
#include <unistd.h>
#include "common.h"

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "child") == 0) {
        const char *v = getenv("VALUE");
        return v && strcmp(v, "kept across exec") == 0 ? 7 : 8;
    }
    long n = iterations(argc, argv, 20);
    setenv("VALUE", "kept across exec", 1);
    for (long i = 0; i < n; i++) {
        int status;
        pid_t child = fork();
        check(child >= 0);
        if (child == 0) {
            execl("/proc/self/exe", "exec", "1", "child", (char *)NULL);
            _exit(99);
        }
        check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    puts("exec ok");
    return 0;
}
