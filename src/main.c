#include <stdio.h>

int main(void)
{
    (void)puts("shanhai");
    return 0;
}
