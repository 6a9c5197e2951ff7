/* ipmi_sim plug-in: hands some of the BMC's commands to the lab's daemon, which answers in Python.
 *
 * ipmi_sim 2.0.33 has no Cold/Warm Reset, no Self Test and no in-band System GUID, and its Get Watchdog Timer
 * answers with uninitialised bytes. Each handed command is one line "<netfn> <cmd> <channel> <data bytes>" in
 * hexadecimal to 127.0.0.1:<port>, answered by one line with the reply's bytes (completion code first).
 *
 * The module's option string is the daemon's port. Channel 15 is the system interface, 1 the LAN. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <OpenIPMI/serv.h>
#include <OpenIPMI/mcserv.h>

#define NODE_BUSY 0xc0

static int daemon_port;

static const struct { unsigned char netfn, cmd; } handed[] = {
    {0x00, 0x01}, /* Get Chassis Status */
    {0x00, 0x02}, /* Chassis Control */
    {0x06, 0x01}, /* Get Device ID */
    {0x06, 0x02}, /* Cold Reset */
    {0x06, 0x03}, /* Warm Reset */
    {0x06, 0x04}, /* Get Self Test Results */
    {0x06, 0x22}, /* Reset Watchdog Timer */
    {0x06, 0x24}, /* Set Watchdog Timer */
    {0x06, 0x25}, /* Get Watchdog Timer */
    {0x06, 0x37}, /* Get System GUID (the LAN side answers it by itself from lan.conf) */
};

/* Sends one line and reads one line; 0 when the daemon did not answer within two seconds. */
static int ask(const char *line, char *reply, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(daemon_port)};
    struct timeval limit = {.tv_sec = 2};
    size_t have = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return 0;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, line, strlen(line)) > 0) {
        while (have < size - 1) {
            ssize_t n = read(fd, reply + have, size - 1 - have);
            if (n <= 0)
                break;
            have += n;
            if (reply[have - 1] == '\n')
                break;
        }
    }
    close(fd);
    reply[have] = 0;
    return have > 0 && reply[have - 1] == '\n';
}

static void hand_over(lmc_data_t *mc, msg_t *msg, unsigned char *rdata, unsigned int *rdata_len, void *cb)
{
    char line[256], reply[256];
    unsigned int n, i, byte, room = *rdata_len;
    int used;
    const char *p = reply;

    (void)mc; (void)cb;
    n = snprintf(line, sizeof line, "%02x %02x %02x", msg->netfn, msg->cmd, msg->channel);
    for (i = 0; i < msg->len && n < sizeof line - 4; i++)
        n += snprintf(line + n, sizeof line - n, " %02x", msg->data[i]);
    strcat(line, "\n");
    *rdata_len = 0;
    if (ask(line, reply, sizeof reply))
        for (; *rdata_len < room && sscanf(p, "%2x%n", &byte, &used) == 1; p += used)
            rdata[(*rdata_len)++] = byte;
    if (*rdata_len == 0) {
        rdata[0] = NODE_BUSY;
        *rdata_len = 1;
    }
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *options)
{
    (void)sys; (void)options;
    printf("labmod\n");
    return 0;
}

int ipmi_sim_module_init(sys_data_t *sys, const char *options)
{
    size_t i;

    (void)sys;
    daemon_port = options ? atoi(options) : 0;
    for (i = 0; i < sizeof handed / sizeof handed[0]; i++) {
        int err = ipmi_emu_register_cmd_handler(handed[i].netfn, handed[i].cmd, hand_over, NULL);
        if (err) {
            fprintf(stderr, "labmod: command %02x/%02x: %s\n", handed[i].netfn, handed[i].cmd, strerror(err));
            return err;
        }
    }
    return 0;
}

int ipmi_sim_module_post_init(sys_data_t *sys)
{
    (void)sys;
    return 0;
}
