/* Prints the encoders that filmlab needs and the linked libavcodec lacks. */
#include <libavcodec/avcodec.h>
#include <stdio.h>

int main(void) {
    static const char *const needed[] = {"libx264", "aac", "mjpeg"};
    for (unsigned i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!avcodec_find_encoder_by_name(needed[i]))
            printf("%s ", needed[i]);
    return 0;
}
