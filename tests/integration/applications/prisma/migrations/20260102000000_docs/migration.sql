-- CreateTable
CREATE TABLE "docs" (
    "id" SERIAL NOT NULL,
    "tenant_id" UUID NOT NULL,
    "title" TEXT NOT NULL,

    CONSTRAINT "docs_pkey" PRIMARY KEY ("id")
);
