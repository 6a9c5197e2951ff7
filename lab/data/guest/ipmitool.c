/* An ipmitool of the fault's time: asks for the device ID and waits for the answer without a limit.
 *
 * Today's gives up after a minute, so it cannot show the pile of clients that hang for weeks. */
#include <fcntl.h>
#include <linux/ipmi.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/select.h>

#define GET_DEVICE_ID 0x01

int main(void)
{
    struct ipmi_system_interface_addr bmc = {IPMI_SYSTEM_INTERFACE_ADDR_TYPE, IPMI_BMC_CHANNEL, 0};
    struct ipmi_req request = {.addr = (unsigned char *)&bmc, .addr_len = sizeof bmc};
    int fd = open("/dev/ipmi0", O_RDWR);
    fd_set readable;

    request.msg.netfn = IPMI_NETFN_APP_REQUEST;
    request.msg.cmd = GET_DEVICE_ID;
    if (fd < 0 || ioctl(fd, IPMICTL_SEND_COMMAND, &request) < 0) {
        perror("/dev/ipmi0");
        return 1;
    }
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    return select(fd + 1, &readable, NULL, NULL, NULL) == 1 ? 0 : 1;
}
