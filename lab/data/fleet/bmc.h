#include <stdint.h>

enum { LARGEST = 256 }; /* bytes of a datagram */

/* The answer to a datagram; `out` has room for LARGEST bytes. Returns its length, 0 for none. */
int bmc_answer(const uint8_t *in, int length, uint8_t *out);
