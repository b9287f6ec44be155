import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const lines = (severity, max) => [severity, { max, skipBlankLines: true, skipComments: true }];

export default tseslint.config(
  { ignores: ['**/dist/', '**/node_modules/', 'coverage/', '.data/', '.tmp/', 'test/matrix/app/'] },
  eslint.configs.recommended,
  {
    rules: {
      'no-console': 'error',
      'max-lines': lines('error', 300),
      'max-lines-per-function': lines('error', 70),
      'max-params': ['error', 4],
      // A default (`??`) counts as a branch, and reading options is a row of defaults.
      complexity: ['error', 18],
      'max-depth': ['error', 4],
      // `== null` asks for null or undefined at once.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      // `{}` says "no declared columns" in the types of a definition.
      '@typescript-eslint/no-empty-object-type': ['error', { allowObjectTypes: 'always' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // Interfaces that return promises are also met by what has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    // describe() wraps a whole file, and answers of servers and reports come untyped.
    files: [
      '**/*.{spec,int-spec,e2e-spec}.ts',
      'libs/**/*.fixture.ts',
      'libs/ledger/src/testing/**',
      'test/**',
    ],
    rules: {
      'max-lines': lines('error', 320),
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['scripts/**', 'bench/**', 'test/matrix/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.{js,cjs,mjs}'],
    languageOptions: {
      globals: {
        console: 'readonly',
        fetch: 'readonly',
        module: 'writable',
        process: 'readonly',
        URL: 'readonly',
      },
    },
  },
);
