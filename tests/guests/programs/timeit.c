// Runs a program and says how long it took, for the guests' test "speed":
//   timeit NAME PROGRAM [ARGUMENT...]   prints  AMBIDEX-TIME NAME ARGUMENT MILLISECONDS CHECKSUM-OF-ITS-OUTPUT
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "common.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}
int main(int argc, char **argv)
{
    int p[2], status;
    unsigned char buffer[4096];
    ssize_t got;
    if (argc < 3)
        return 0; // listed with the test programs, which take no arguments
    if (pipe(p) != 0)
        return 1;
    double start = now();
    pid_t child = fork();
    if (child == 0) {
        dup2(p[1], 1);
        close(p[0]), close(p[1]);
        execv(argv[2], argv + 2);
        _exit(127);
    }
    close(p[1]);
    while ((got = read(p[0], buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < got; i++)
            sum(buffer[i]);
    waitpid(child, &status, 0);
    printf("AMBIDEX-TIME %s %s %.1f %016llx status=%d\n", argv[1], argc > 3 ? argv[3] : "-", now() - start, (unsigned long long)sum_state,
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
