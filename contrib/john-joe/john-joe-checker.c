#include <stdio.h>
#include <stdlib.h>

main(){

char *a;
char mailfrom[254];
char recipient[254];

if (!(a=getenv("REMOTEMF"))) {
        fprintf(stderr,"No REMOTEMF var");
        exit(0);
} else
        strcpy(mailfrom,a);

if (!(a=getenv("REMOTERCPT"))) {
        fprintf(stderr,"No REMOTERCPT var");
        exit(0);
} else
        strcpy(recipient,a);

if ((strcmp(mailfrom, "john@foodomain.net") == 0)&&
   (strcmp(recipient, "joe@joedomain.net") == 0))
        return 101;

exit(0);
}
