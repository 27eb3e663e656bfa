// Processes: fork, copy on write, wait, and a byte handed to and fro through pipes (two context switches a round).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common.h"

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 10);
    char *private = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(private != MAP_FAILED && (void *)shared != MAP_FAILED);
    for (long i = 0; i < n; i++) {
        int status, to[2], from[2];
        memset(private, (int)i, 65536);
        fflush(stdout);
        pid_t child = fork();
        check(child >= 0);
        if (child == 0) {
            for (int k = 0; k < 65536; k += 512)
                private[k]++; // copies, page by page
            *shared += private[512] + i;
            _exit(3 + i % 5);
        }
        check(waitpid(child, &status, 0) == child && WIFEXITED(status));
        sum(WEXITSTATUS(status)), sum(*shared), sum(private[512]);

        check(pipe(to) == 0 && pipe(from) == 0);
        child = fork();
        if (child == 0) {
            unsigned char c;
            close(to[1]);
            while (read(to[0], &c, 1) == 1) {
                c = c * 3 + 1;
                check(write(from[1], &c, 1) == 1);
            }
            _exit(0);
        }
        close(to[0]);
        unsigned char c = i;
        for (int k = 0; k < 100; k++) {
            check(write(to[1], &c, 1) == 1 && read(from[0], &c, 1) == 1);
            sum(c);
        }
        close(to[1]), close(from[0]), close(from[1]);
        waitpid(child, &status, 0);
        sum(status);
    }
    sum_print("process");
    return 0;
}
