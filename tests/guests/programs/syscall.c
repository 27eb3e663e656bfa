// System calls: traps into the kernel and back.
#include <sys/syscall.h>
#include <unistd.h>
#include "common.h"

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 20000);
    long pid = syscall(SYS_getpid), same = 0;
    for (long i = 0; i < n; i++)
        same += syscall(SYS_getpid) == pid;
    check(same == n);
    int p[2];
    char buffer[64] = "some bytes through a pipe";
    check(pipe(p) == 0);
    for (long i = 0; i < n / 20; i++) {
        check(write(p[1], buffer, sizeof buffer) == sizeof buffer && read(p[0], buffer, sizeof buffer) == sizeof buffer);
        buffer[i % 64]++;
        sum((unsigned char)buffer[i % 7]);
    }
    check(syscall(100000) == -1);
    sum_print("syscall");
    return 0;
}
