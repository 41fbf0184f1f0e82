#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

// OpenSSL's own callback asks on the terminal: this one gives the passphrase that it was handed, or none.
static inline int nebula_openssl_passphrase(char *buffer, int size, int writing, void *context) {
  (void)writing;
  if (context == NULL) return -1;
  size_t length = strlen((const char *)context);
  if (length > (size_t)size) return -1;
  memcpy(buffer, context, length);
  return (int)length;
}
static inline EVP_PKEY *nebula_openssl_read_pem_key(BIO *bio, const char *passphrase) {
  return PEM_read_bio_PrivateKey(bio, NULL, nebula_openssl_passphrase, (void *)passphrase);
}
static inline EVP_PKEY *nebula_openssl_read_encrypted_der_key(BIO *bio, const char *passphrase) {
  return d2i_PKCS8PrivateKey_bio(bio, NULL, nebula_openssl_passphrase, (void *)passphrase);
}
