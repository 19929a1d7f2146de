//! Stages, bases and their triggers.

pub(super) const CASES: &[&str] = &[
    "FROM busybox AS One\nRUN echo 1 > /1\nFROM busybox\nCOPY --from=one /1 /x\nCOPY --from=ONE /1 /y",
    "FROM busybox AS one\nENV A=1\nLABEL l=1\nWORKDIR /w\nFROM one AS two\nENV B=$A\nFROM two\nRUN pwd > /p",
    "FROM busybox AS one\nENV A=1\nLABEL l=1\nFROM busybox\nRUN echo \"[$A]\" > /a",
    "#!query target=two\nFROM busybox AS one\nRUN echo 1 > /1\nFROM one AS two\nRUN echo 2 > /2\nFROM two\nRUN exit 1",
    "#!query target=TWO\nFROM busybox AS one\nFROM busybox AS two\nRUN echo 2 > /2\nFROM busybox",
    "FROM scratch\nENV A=1\nWORKDIR /w\nCOPY a.txt .\nCMD [\"/x\"]",
    "FROM scratch AS files\nCOPY dir /d\nFROM busybox\nCOPY --from=files / /all/",
    "FROM busybox AS a\nRUN echo a > /a\nFROM busybox AS b\nCOPY --from=a /a /b\nFROM busybox\nCOPY --from=1 /b /c",
    "FROM --platform=linux/amd64 busybox\nENV A=1",
    "ARG TAG=latest\nARG NAME=busybox\nFROM ${NAME}:${TAG} AS x\nFROM x\nRUN echo ok > /ok",
    "FROM busybox AS busy\nRUN echo busy > /x\nFROM busy\nFROM busybox\nCOPY --from=busy /x /x",
    "#!base FROM busybox\n#!base ONBUILD RUN echo on > /on\n#!base ONBUILD COPY a.txt /a\nFROM base\nRUN cat /on /a > /both",
    "#!base FROM busybox\n#!base ONBUILD ENV A=1\n#!base ONBUILD WORKDIR /w\n#!base ONBUILD LABEL l=$A\nFROM base\nRUN pwd > p",
    "#!base FROM busybox\n#!base ONBUILD ARG V=default\n#!base ONBUILD RUN echo $V > /v\n#!query buildargs={\"V\":\"given\"}\nFROM base",
    "#!base FROM busybox\n#!base ONBUILD USER 5\n#!base ONBUILD EXPOSE 80\n#!base ONBUILD VOLUME /v\n#!base ONBUILD CMD echo x\nFROM base\nONBUILD RUN again",
    "#!base FROM busybox\n#!base ONBUILD RUN echo x > /x\nFROM base AS one\nFROM one\nRUN test -e /x",
    "#!base FROM busybox\n#!base ONBUILD ADD arch.tar /un\n#!base ONBUILD ENTRYPOINT [\"/x\"]\nFROM base",
    "FROM busybox AS one\nONBUILD RUN echo from-stage > /s\nFROM busybox\nENV A=1",
    "ONBUILD   env A=1\nONBUILD copy [\"a\", \"b\"]\nONBUILD RUN a \\\n  b",
];
