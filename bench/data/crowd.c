/* crowd N: N processes that sleep, under names as a server has them. Prints a line when they are there; ends with its stdin. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **words) {
    static const char *names[] = {"kworker/%d:1-events", "nginx", "java", "postgres", "sshd", "python3", "rcu_par_gp", "php-fpm"};
    char name[32], byte;
    for (int left = count > 1 ? atoi(words[1]) : 0; left > 0; left--) {
        pid_t child = fork();
        if (child < 0) return perror("fork"), 1;
        if (child) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(name, sizeof name, names[left % 8], left % 64);
        prctl(PR_SET_NAME, name);
        for (;;) pause();
    }
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {}
    return 0;
}
