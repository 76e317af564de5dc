/* The readable side of boldinfo: a description (io/describe.h) as lines on standard output. Control characters in it
 * become '?'. */
#ifndef BM_BOLDINFO_TEXT_H
#define BM_BOLDINFO_TEXT_H

#include <jansson.h>

void boldinfo_text(json_t *info);

#endif
